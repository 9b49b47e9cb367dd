"""The targets, by name."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.target import Target


def _ir_text() -> Target:
    from tests.fuzz.targets.ir_text import IrText

    return IrText()


def _program_text() -> Target:
    from tests.fuzz.targets.program_text import ProgramText

    return ProgramText()


def _onnx_import() -> Target:
    from tests.fuzz.targets.onnx_import import OnnxImport

    return OnnxImport()


def _manifest() -> Target:
    from tests.fuzz.targets.manifest import Manifest

    return Manifest()


def _wire() -> Target:
    from tests.fuzz.targets.wire import Wire

    return Wire()


def _store() -> Target:
    from tests.fuzz.targets.store import StoreFolder

    return StoreFolder()


def _plan() -> Target:
    from tests.fuzz.targets.plan import Plan

    return Plan()


def _arrays() -> Target:
    from tests.fuzz.targets.arrays import ArrayFiles

    return ArrayFiles()


def _tls() -> Target:
    from tests.fuzz.targets.tls import Tls

    return Tls()


TARGETS: dict[str, Callable[[], Target]] = {
    "ir_text": _ir_text,
    "program_text": _program_text,
    "onnx_import": _onnx_import,
    "manifest": _manifest,
    "wire": _wire,
    "tls": _tls,
    "store": _store,
    "plan": _plan,
    "arrays": _arrays,
}
