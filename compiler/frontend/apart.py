"""A model with its weights in a file of their own, for onnxruntime to run changed copies of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import onnx

from mpcc.compiler.frontend.load import has_external
from mpcc.ir.diagnostics import MpccError


@contextmanager
def weights_apart(path: Path) -> Iterator[Path]:
    """The path of an equal model, which is gone afterwards; `path` itself where weights lie apart already.

    A model that holds its weights is in memory several times over whenever it is read, changed and handed to
    onnxruntime. Raises MPC-C013 where they cannot be written.
    """
    model = onnx.load(path, load_external_data=False)
    if has_external(model):
        yield path
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mpcc-compile-"))
            apart = Path(folder) / "model.onnx"
            onnx.save(model, apart, save_as_external_data=True)
        except OSError as error:
            raise MpccError(
                "MPC-C013",
                f"the model's weights cannot be written to a temporary folder: {error.strerror}",
                where=error.filename,
                remedy="free some space there, or name another place in TMPDIR",
            ) from None
        del model
        yield apart
