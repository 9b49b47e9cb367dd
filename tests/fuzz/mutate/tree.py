"""Changes of JSON values: what stands somewhere is removed, doubled, exchanged or replaced."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 64, 65, 2**31, 2**53, 2**63, -(2**63), 2**64, 10**30),
    *(0.5, -0.0, 1e-12, 1e308, float("inf"), float("nan"), "", "x", "0", "\x00", "../x", "/etc/passwd", "é"),
    *("\ud800", "float32", "int64", "O", "party0", "a" * 300, "00" * 32, [], {}, [[]], [None], {"": None}),
    *([1, 2], [-1], [2**40, 2**40], [1.5], ["1"]),
)


def mutate_tree(root: Any, random: Random) -> Any:
    """A changed copy, with one to three changes."""
    root = copy.deepcopy(root)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = list(_places(root))
        if not places:
            return random.choice(_ODD)
        container, key = random.choice(places)
        _change(container, key, random, places)
    return root


def _places(root: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything inside."""
    pending = [root]
    while pending:
        container = pending.pop()
        if isinstance(container, dict | list):
            keys = container if isinstance(container, dict) else range(len(container))
            for key in list(keys):
                yield container, key
                pending.append(container[key])


def _change(container: Any, key: Any, random: Random, places: list[tuple[Any, Any]]) -> None:
    choice = random.randrange(10)
    value = container[key]
    if choice == 0:
        del container[key]
    elif choice == 1:
        other, place = random.choice(places)
        container[key] = copy.deepcopy(other[place])
    elif choice == 2 and isinstance(container, list):
        container.insert(random.randrange(len(container) + 1), copy.deepcopy(value))
    elif choice == 3 and isinstance(container, dict):
        container[str(random.choice(_ODD))] = container.pop(key)
    elif choice == 4 and isinstance(value, int | float):
        container[key] = random.choice((value + 1, value - 1, -value, value * 2, str(value), float(value)))
    elif choice == 5 and isinstance(value, str):
        cut = random.randrange(len(value) + 1)
        container[key] = random.choice((value[:cut], value[cut:], value + "x", value.upper(), value + value))
    elif choice == 6:
        container[key] = [value]
    elif choice == 7:
        container[key] = {"x": value}
    else:
        container[key] = copy.deepcopy(random.choice(_ODD))
