"""mpcc as a backend of ONNX, for ONNX's own test suite: `onnx.backend.test.BackendTest(mpcc.backend)`."""

from mpcc.compiler.onnx_backend import (
    MpccBackend,
    Refused,
    is_compatible,
    prepare,
    run_model,
    run_node,
    supports_device,
)
from mpcc.compiler.onnx_backend_inputs import Holder

__all__ = [
    "Holder",
    "MpccBackend",
    "Refused",
    "is_compatible",
    "prepare",
    "run_model",
    "run_node",
    "supports_device",
]
