"""How much an error at a value moves the model's outputs: onnxruntime runs it with noise added there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx

from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend.check import run_local, session, with_extra_outputs
from mpcc.compiler.frontend.imported import Imported

Arrays = dict[str, np.ndarray]
NOISE, CLEAN, TYPED = "/noise", "/clean", "/typed"  # suffixes of tensors' names
CAST_LIKE = 15  # the opset that has it: before, noise is added to float32 tensors only
RELATIVE = 2.0**-10  # of the value's root mean square: small, and far above the rounding of floats


def gains(
    imported: Imported, model: str | Path, samples: Sequence[Arrays], values: Sequence[str], turns: int
) -> dict[str, float]:
    """The largest change of any output for an error of root mean square 1 at each value, by name.

    The worst of `turns` turns, over the samples as far as they go, through three kinds of error: of random
    signs; of one sign throughout, as an approximation's may be; and in proportion to the value, as a
    reciprocal's is. Where the model has no tensor for a value, the imported program is evaluated instead.
    """
    tensors = {name: imported.tensor_names[name] for name in values if name in imported.tensor_names}
    names = [o.name for o in imported.outputs]
    runner = session(with_noise(model, list(tensors.values())).SerializeToString(), Path(model).parent)
    found = dict.fromkeys(values, 0.0)
    for index, kind in dict.fromkeys((r % len(samples), r % len(KINDS)) for r in range(turns * len(KINDS))):
        sample, generator = samples[index], np.random.default_rng(index)
        clean = dict(
            zip((*names, *tensors), runner.run([*names, *tensors.values()], dict(sample)), strict=True)
        )
        computed = _evaluated(imported, sample, {}) if len(tensors) < len(values) else {}
        for name in values:
            noise = KINDS[kind](clean[name] if name in tensors else computed[name], generator)
            if name in tensors:
                feeds = {**sample, tensors[name] + NOISE: np.asarray(noise, np.float32)}
                change = _change(runner.run(names, feeds), [clean[n] for n in names])
            else:
                outputs = [imported.program.outputs[n].name for n in names]
                changed = _evaluated(imported, sample, {name: noise})
                change = _change([changed[n] for n in outputs], [computed[n] for n in outputs])
            size = float(np.sqrt(np.mean(np.square(noise))))
            found[name] = max(found[name], change / size if size else 0.0)
    return found


def with_noise(model: str | Path, tensors: Sequence[str]) -> onnx.ModelProto:
    """The model with something added to each of the tensors: optional inputs `<tensor>/noise`, 0 by default.

    The tensors are outputs, too.
    """
    proto = with_extra_outputs(model, list(tensors))
    graph, wanted = proto.graph, set(tensors)
    opset = next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx"))
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        added = graph.node.add()
        added.CopyFrom(node)
        for index, tensor in enumerate(node.output):
            if tensor in wanted:
                clean, noise = tensor + CLEAN, tensor + NOISE
                added.output[index], addend = clean, noise
                if opset >= CAST_LIKE:
                    addend = tensor + TYPED
                    graph.node.append(onnx.helper.make_node("CastLike", [noise, clean], [addend]))
                graph.node.append(onnx.helper.make_node("Add", [clean, addend], [tensor]))
                graph.input.append(onnx.helper.make_tensor_value_info(noise, onnx.TensorProto.FLOAT, None))
                graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((), np.float32), noise))
    return proto


def _size(array: np.ndarray) -> float:
    return RELATIVE * float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) or RELATIVE


KINDS: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = (
    lambda array, generator: _size(array) * (generator.integers(0, 2, array.shape) * 2.0 - 1.0),
    lambda array, generator: np.full(array.shape, _size(array)),
    lambda array, generator: RELATIVE * array.astype(np.float64),
)


def _evaluated(imported: Imported, sample: Arrays, noise: Arrays) -> Arrays:
    values = evaluate(imported.program, run_local(imported, sample), noise=noise)
    return {value.name: array for value, array in values.items()}


def _change(changed: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> float:
    """The largest, in float64."""
    pairs = zip(changed, outputs, strict=True)
    return max(float(np.max(np.abs(np.subtract(a, b, dtype=np.float64)), initial=0.0)) for a, b in pairs)
