"""mpcc: a compiler from ONNX to two-party secure computation, and its runtime.

What is named here is imported when it is first used, so that `import mpcc` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpcc import backend
    from mpcc.ir.diagnostics import MpccError
    from mpcc.runtime.client import InferenceSession, connect

__all__ = ["InferenceSession", "MpccError", "backend", "connect"]

_MODULES = {"backend": "mpcc.backend"}
_MEMBERS = {
    "InferenceSession": "mpcc.runtime.client",
    "MpccError": "mpcc.ir.diagnostics",
    "connect": "mpcc.runtime.client",
}

if not TYPE_CHECKING:  # for type checkers there is nothing but the above

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(_MODULES[name])
        if name in _MEMBERS:
            return getattr(import_module(_MEMBERS[name]), name)
        raise AttributeError(f"module 'mpcc' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
