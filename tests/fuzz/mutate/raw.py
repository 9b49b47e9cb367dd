"""Changes of plain bytes, for formats without structure and as a part of the others."""

from __future__ import annotations

from random import Random

_INTERESTING = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)


def mutate_bytes(data: bytes, random: Random, max_bytes: int) -> bytes:
    """One to three changes: bits, bytes, integers; parts cut, doubled, moved, zeroed."""
    result = bytearray(data)
    for _ in range(random.randint(1, 3)):
        _change(result, random)
    return bytes(result[:max_bytes])


def _change(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + int(2 ** random.uniform(0, 8)))
    choice = random.randrange(7)
    if choice == 0 and start < len(data):
        data[start] ^= 1 << random.randrange(8)
    elif choice == 1 and start < len(data):
        data[start] = random.randrange(256)
    elif choice == 2:
        width = random.choice((1, 2, 4, 8))
        value = (random.choice(_INTERESTING) + random.randint(-1, 1)) % (1 << 8 * width)
        data[start : start + width] = value.to_bytes(width, random.choice(("little", "big")))
    elif choice == 3:
        del data[start:end]
    elif choice == 4:
        data[start:start] = data[start:end]
    elif choice == 5:
        position = random.randrange(len(data) + 1)
        data[position:position] = data[start:end]
    else:
        data[start:end] = bytes(end - start)
