"""What an operation class declares: name, stage, attributes, result types. One class an operation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mpcc.ir.program import Attribute, Attributes, Stage
from mpcc.ir.types import RingType, Sharing, TensorType, Type, Visibility

AttributeSpec = dict[str, type | tuple[type, ...]]

MAX_RANK = 32  # of what is broadcast: NumPy's own limit


class OperationClass:
    """Base of all operation classes. Subclasses are stateless and registered by `register`.

    `required` and `optional` list attributes with their Python types (tuples for lists). `infer` gives the
    result types from operand types and attributes and raises ValueError when they do not fit.
    """

    name: ClassVar[str]
    stage: ClassVar[Stage]
    required: ClassVar[AttributeSpec] = {}
    optional: ClassVar[AttributeSpec] = {}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        raise NotImplementedError

    @classmethod
    def check_attributes(cls, attributes: Attributes) -> None:
        """Raises ValueError for a missing, unknown or mistyped attribute."""
        allowed = {**cls.required, **cls.optional}
        problems = [f"missing attribute '{name}'" for name in cls.required if name not in attributes]
        problems += [f"unknown attribute '{name}'" for name in attributes if name not in allowed]
        for name, value in attributes.items():
            expected = allowed.get(name)
            wrong_bool = isinstance(value, bool) and expected is not bool
            if expected is not None and (wrong_bool or not isinstance(value, expected)):
                problems.append(f"attribute '{name}' has type {type(value).__name__}")
        if problems:
            raise ValueError(f"{cls.name}: " + "; ".join(problems))


_registry: dict[tuple[Stage, str], type[OperationClass]] = {}


def register(cls: type[OperationClass]) -> type[OperationClass]:
    """Class decorator: makes the operation known to its stage."""
    key = (cls.stage, cls.name)
    if key in _registry:
        raise ValueError(f"operation {cls.name} registered twice in stage {cls.stage}")
    _registry[key] = cls
    return cls


def definition(stage: Stage, name: str) -> type[OperationClass]:
    """The operation class. Raises ValueError when the stage has no such operation."""
    try:
        return _registry[(stage, name)]
    except KeyError:
        raise ValueError(f"stage {stage} has no operation '{name}'") from None


def operations_of(stage: Stage) -> dict[str, type[OperationClass]]:
    return {name: cls for (s, name), cls in _registry.items() if s is stage}


def integers(attributes: Attributes, name: str) -> tuple[int, ...]:
    """A list attribute as integers. Raises ValueError when it is something else."""
    value = attributes[name]
    if not isinstance(value, tuple):
        raise ValueError(f"attribute '{name}' must be a list")
    return tuple(integer_of(v, name) for v in value)


def integer(attributes: Attributes, name: str) -> int:
    return integer_of(attributes[name], name)


def integer_of(value: Attribute, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"attribute '{name}' must be an integer")
    return value


def tensor(types: list[Type], index: int) -> TensorType:
    value = types[index]
    if not isinstance(value, TensorType):
        raise ValueError("expected a tensor-stage value")
    return value


def ring(types: list[Type], index: int, *allowed: Sharing) -> RingType:
    value = types[index]
    if not isinstance(value, RingType):
        raise ValueError("expected a share-stage value")
    if allowed and value.sharing not in allowed:
        raise ValueError(f"operand {index} is {value.sharing}, expected {' or '.join(allowed)}")
    return value


def expect_count(types: list[Type], low: int, high: int | None = None) -> None:
    if not low <= len(types) <= (low if high is None else high):
        raise ValueError(f"got {len(types)} operands, expected {low if high is None else f'{low}..{high}'}")


def joined_visibility(types: list[Type]) -> Visibility:
    result = Visibility.PUBLIC
    for index in range(len(types)):
        result = result.joined(tensor(types, index).visibility)
    return result


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcasting of shapes. Raises ValueError when they do not fit."""
    if max(map(len, shapes)) > MAX_RANK:
        raise ValueError(f"a shape has more than {MAX_RANK} axes")
    return tuple(np.broadcast_shapes(*shapes))


def linear_shape(x: tuple[int, ...], w: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of x [.., k] times w [k, n], or of x [.., E, m, k] times w [E, k, n]. Raises ValueError when they
    do not fit.
    """
    if len(w) not in (2, 3) or x[-1:] != w[-2:-1] or (len(w) == 3 and x[-3:-2] != w[:1]):
        raise ValueError(f"linear: {x} does not fit weight {w}")
    return (*x[:-1], w[-1])


def view_shape(kind: str, shape: tuple[int, ...], attributes: Attributes) -> tuple[int, ...]:
    """Shape after a view operation (reshape, transpose, expand, slice, take): the ones that move elements
    only.
    """
    if kind == "reshape":
        target = integers(attributes, "shape")
        if int(np.prod(target, dtype=np.int64)) != int(np.prod(shape, dtype=np.int64)):
            raise ValueError(f"cannot reshape {shape} to {target}")
        return target
    if kind == "transpose":
        permutation = integers(attributes, "permutation")
        if sorted(permutation) != list(range(len(shape))):
            raise ValueError(f"permutation {permutation} does not fit rank {len(shape)}")
        return tuple(shape[p] for p in permutation)
    if kind == "expand":
        target = integers(attributes, "shape")
        if broadcast(shape, target) != target:
            raise ValueError(f"cannot expand {shape} to {target}")
        return target
    if kind == "slice":
        return tuple(len(range(size)[s]) for size, s in zip(shape, slices(shape, attributes), strict=True))
    axis, indices = integer(attributes, "axis"), integers(attributes, "indices")
    if not 0 <= axis < len(shape) or any(not 0 <= i < shape[axis] for i in indices):
        raise ValueError(f"take: axis {axis} or an index is outside shape {shape}")
    return (*shape[:axis], len(indices), *shape[axis + 1 :])


def slices(shape: tuple[int, ...], attributes: Attributes) -> tuple[slice, ...]:
    """One Python slice an axis; `starts`, `stops`, `steps` have one entry an axis, stops may be -1 only via
    negative steps.
    """
    parts = [integers(attributes, name) for name in ("starts", "stops", "steps")]
    if any(len(p) != len(shape) for p in parts) or any(s == 0 for s in parts[2]):
        raise ValueError("slice needs one start, stop and nonzero step an axis")
    return tuple(
        slice(start, None if stop < 0 else stop, step) for start, stop, step in zip(*parts, strict=True)
    )


VIEW_ATTRIBUTES: dict[str, AttributeSpec] = {
    "reshape": {"shape": tuple},
    "transpose": {"permutation": tuple},
    "expand": {"shape": tuple},
    "slice": {"starts": tuple, "stops": tuple, "steps": tuple},
    "take": {"axis": int, "indices": tuple},
}


def apply_view(kind: str, array: np.ndarray, attributes: Attributes) -> np.ndarray:
    """The view operation on an array: the same for shares, masks, openings and plaintext."""
    if kind == "reshape":
        return array.reshape(integers(attributes, "shape"))
    if kind == "transpose":
        return array.transpose(integers(attributes, "permutation"))
    if kind == "expand":
        return np.broadcast_to(array, integers(attributes, "shape"))
    if kind == "slice":
        return array[slices(array.shape, attributes)]
    return np.take(
        array, np.array(integers(attributes, "indices"), dtype=np.int64), axis=integer(attributes, "axis")
    )
