"""The committed mixtures of experts are what their README says they are."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

pytest.importorskip("sklearn")

from examples import digits_moe
from examples.digits import dataset

FOLDER = Path(digits_moe.__file__).parent
README = (FOLDER / "README.md").read_text()
TOP_K = pytest.mark.parametrize("top_k", [1, 2])


def model(top_k: int) -> Path:
    return FOLDER / f"digits_moe_top{top_k}.onnx"


def run(path: Path, images: np.ndarray, batch: int = 1) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate(
        [session.run(["logits"], {"image": part})[0] for part in images.reshape(-1, batch, 1, 8, 8)]
    )


def transformer(top_k: int) -> Any:
    from safetensors.torch import load_file

    from examples.digits_moe.mixture_transformer import MixtureTransformer

    result = MixtureTransformer(top_k).eval()
    result.load_state_dict(load_file(FOLDER / f"digits_moe_top{top_k}.safetensors"))
    return result


@TOP_K
def test_model_is_small_valid_static_and_without_notes_of_a_machine(top_k: int) -> None:
    assert model(top_k).stat().st_size < 2_000_000
    read = onnx.load(model(top_k))
    onnx.checker.check_model(read, full_check=True)
    (image,), (logits,) = read.graph.input, read.graph.output
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in (image, logits)
    }
    assert shapes == {"image": [1, 1, 8, 8], "logits": [1, 10]}
    assert not read.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in read.graph.node)


@TOP_K
def test_held_out_accuracy_is_the_readme_s(top_k: int) -> None:
    digits = dataset.load()
    predicted = run(model(top_k), digits.held_out_images).argmax(axis=1)
    correct = int((predicted == digits.held_out_labels).sum())
    stated = re.search(rf"\| `{model(top_k).name}` .* (\d+) \|\n", README)
    assert stated is not None
    assert correct == int(stated[1]) >= 0.975 * dataset.HELD_OUT_IMAGES


@TOP_K
def test_every_expert_has_the_share_of_tokens_that_the_readme_states(top_k: int) -> None:
    torch = pytest.importorskip("torch")
    from examples.digits_moe import routing

    trained = transformer(top_k)
    with torch.no_grad(), routing.observed(trained) as logits:
        trained(torch.from_numpy(dataset.load().held_out_images))
    shares = [100 * routing.shares(layer, top_k).numpy() for layer in logits]
    table = README[README.index(f"| top-{top_k} | 0 ") :].splitlines()[:3]
    stated = [[float(cell) for cell in line.split("|")[3:-1]] for line in table]
    np.testing.assert_allclose(shares, stated, atol=0.1)
    assert np.min(shares) > 3


@TOP_K
def test_an_export_for_several_images_computes_the_committed_model(top_k: int, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from examples.digits_moe.export import export

    images = np.random.default_rng(0).random((8, 1, 8, 8), dtype=np.float32)  # routed unlike digits
    export(tmp_path / "batch.onnx", top_k, batch=4)
    expected = run(model(top_k), images)
    np.testing.assert_allclose(run(tmp_path / "batch.onnx", images, batch=4), expected, atol=1e-4)


def test_gathering_weights_is_computing_every_expert() -> None:
    torch = pytest.importorskip("torch")
    from examples.digits_moe.mixture_transformer import EXPERTS, MixtralLayer

    torch.manual_seed(0)
    layer = MixtralLayer()
    rows, gates = torch.randn(50, layer.router.in_features), torch.rand(50, layer.TOP_K)
    chosen = torch.rand(50, EXPERTS).topk(layer.TOP_K).indices
    with torch.no_grad():
        difference = layer.gathered(rows, gates, chosen) - layer.every_expert(rows, gates, chosen)
    assert difference.abs().max() < 1e-5


def test_balance_loss_is_one_when_even_and_the_number_of_experts_when_one_has_all() -> None:
    torch = pytest.importorskip("torch")
    from examples.digits_moe import routing
    from examples.digits_moe.mixture_transformer import EXPERTS

    even = 20.0 * torch.eye(EXPERTS)
    assert routing.balance_loss(even, 1).item() == pytest.approx(1)
    assert routing.balance_loss(even[:1], 1).item() == pytest.approx(EXPERTS, rel=1e-6)


def test_no_held_out_image_is_used_for_calibration() -> None:
    held_out = {image.tobytes() for image in dataset.load().held_out_images}
    calibration, sample = (np.load(FOLDER / name) for name in ("digits_moe_calibration.npz", "sample.npz"))
    with calibration, sample:
        assert calibration["image"].shape == (64, 1, 8, 8)
        assert not any(image.tobytes() in held_out for image in calibration["image"])
        assert sample["image"].shape == (1, 1, 8, 8)
        assert sample["image"][0].tobytes() in held_out
