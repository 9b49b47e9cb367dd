"""The committed digits model is what its README says it is."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

pytest.importorskip("sklearn")

from examples.digits import dataset

FOLDER = Path(dataset.__file__).parent
MODEL = FOLDER / "digits.onnx"


def run(images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["logits"], {"image": image[None]})[0] for image in images])


def test_model_is_small_valid_and_static() -> None:
    assert MODEL.stat().st_size < 2_000_000
    model = onnx.load(MODEL)
    onnx.checker.check_model(model, full_check=True)
    (image,), (logits,) = model.graph.input, model.graph.output
    assert (image.name, [dim.dim_value for dim in image.type.tensor_type.shape.dim]) == (
        "image",
        [1, 1, 8, 8],
    )
    assert (logits.name, [dim.dim_value for dim in logits.type.tensor_type.shape.dim]) == ("logits", [1, 10])


def test_model_carries_no_notes_of_the_machine_that_exported_it() -> None:
    model = onnx.load(MODEL)
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_held_out_accuracy_is_the_readme_s() -> None:
    digits = dataset.load()
    correct = int((run(digits.held_out_images).argmax(axis=1) == digits.held_out_labels).sum())
    stated = re.search(r"reads (\d+) of 360 held-out", (FOLDER / "README.md").read_text().replace("\n", " "))
    assert stated is not None
    assert correct == int(stated[1]) >= 0.975 * dataset.HELD_OUT_IMAGES


def test_no_held_out_image_is_used_for_calibration() -> None:
    digits = dataset.load()
    held_out = {image.tobytes() for image in digits.held_out_images}
    with np.load(FOLDER / "digits_calibration.npz") as calibration, np.load(FOLDER / "sample.npz") as sample:
        assert calibration["image"].shape == (32, 1, 8, 8)
        assert not any(image.tobytes() in held_out for image in calibration["image"])
        assert sample["image"].shape == (1, 1, 8, 8)
        assert sample["image"][0].tobytes() in held_out


def test_weights_file_holds_the_model_s_weights() -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    from examples.digits.vision_transformer import VisionTransformer

    model = VisionTransformer().eval()
    model.load_state_dict(safetensors.load_file(FOLDER / "digits.safetensors"))
    images = dataset.load().held_out_images[:8]
    with torch.no_grad():
        expected = model(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(run(images), expected, atol=1e-4)
