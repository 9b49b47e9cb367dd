"""Changes of any protobuf message, field by field, whatever they mean."""

from __future__ import annotations

from random import Random
from typing import Any

_INTEGERS = (0, 1, 2, 7, 127, 1 << 20, (1 << 31) - 1)
_FLOATS = (0.0, -1.0, 1e30, float("inf"), float("nan"))
_TEXTS = ("", "x", "\x00", "a" * 100, "é", "Add", "../x")


def mutate_fields(message: Any, random: Random) -> None:
    """One field of the message or of one inside it is cleared, doubled, dropped or set to something odd."""
    while True:
        present = message.ListFields()
        if not present:
            return
        field, value = random.choice(present)
        repeated = not isinstance(value, int | float | str | bytes) and hasattr(value, "__len__")
        if field.message_type is not None and random.random() < 0.7:
            if repeated and not len(value):
                return
            message = random.choice(value) if repeated else value
            continue
        break
    if repeated:
        _change_list(value, random, field.message_type is not None)
    elif field.message_type is not None or random.random() < 0.2:
        message.ClearField(field.name)
    elif field.enum_type is not None:
        setattr(message, field.name, random.choice(field.enum_type.values).number)
    else:
        setattr(message, field.name, _odd(value, random))


def _change_list(values: Any, random: Random, of_messages: bool) -> None:
    index = random.randrange(len(values))
    if random.random() < 0.4:
        del values[index]
    elif of_messages:
        values.add().CopyFrom(values[index])
    elif random.random() < 0.5:
        values.append(values[index])
    else:
        values[index] = _odd(values[index], random)


def _odd(value: Any, random: Random) -> Any:
    """Something of the same type."""
    if isinstance(value, int):
        return random.choice(_INTEGERS)
    if isinstance(value, float):
        return random.choice(_FLOATS)
    if isinstance(value, str):
        return random.choice(_TEXTS)
    return random.choice((b"", value[: len(value) // 2], value + b"\xff", b"\x80\xff"))
