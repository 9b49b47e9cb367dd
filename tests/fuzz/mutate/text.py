"""Changes of text by tokens and lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[%A-Za-z0-9_.+-]+|\s+|.', re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_NUMBERS = (
    *("0", "1", "-1", "2", "3", "7", "8", "63", "64", "65", "100", "255", "-64", "1000000", "2147483648"),
    *("9223372036854775807", "-9223372036854775808", "18446744073709551615", "18446744073709551616"),
    *("1" + "0" * 30, "0.5", "-0.0", "1e-12", "1e308", "1e999", "-1e999", "inf", "nan", "1.5", "2.", "00"),
    *("1x1", "0x4", "2x3", "1x2x3x4x5", "281474976710656", "1048576x1048576", "true", "false", "scalar"),
)


class TextMutator:
    """Changes the texts of one language; what it inserts comes from `samples` of it and from odd numbers."""

    def __init__(self, samples: Sequence[str]) -> None:
        tokens: set[str] = {token for text in samples for token in _TOKEN.findall(text)}
        self._tokens = sorted(tokens)
        self._words = sorted(t for t in tokens if t[0].isalpha())
        self._lines = sorted({line for text in samples for line in text.splitlines(keepends=True)})

    def mutate(self, text: str, random: Random) -> str:
        """One to four changes."""
        for _ in range(random.choice((1, 1, 2, 4))):
            text = (
                self._lines_changed(text, random) if random.random() < 0.25 else self._changed(text, random)
            )
        return text

    def _changed(self, text: str, random: Random) -> str:
        tokens: list[str] = _TOKEN.findall(text)
        places = [i for i, token in enumerate(tokens) if not token.isspace()]
        if not places:
            return random.choice(self._tokens or ["x"])
        place, other = random.choice(places), random.choice(places)
        choice = random.randrange(8)
        if choice <= 2:
            tokens[place] = self._replacement(tokens[place], random)
        elif choice == 3:
            tokens[place] = tokens[other]
        elif choice == 4:
            del tokens[place : place + random.choice((1, 1, 2, 5))]
        elif choice == 5:
            tokens.insert(place, tokens[other])
        elif choice == 6:
            tokens[place], tokens[other] = tokens[other], tokens[place]
        else:
            tokens.insert(place, random.choice(self._tokens or ["x"]))
        return "".join(tokens)

    def _replacement(self, token: str, random: Random) -> str:
        """Mostly of the same sort, so that what follows is still read."""
        if random.random() < 0.1 or not (self._words and self._tokens):
            return random.choice(self._tokens or ["x"])
        if _INTEGER.fullmatch(token) and random.random() < 0.5:
            return str(int(token) + random.choice((-1, 1, 7)))
        if token[0].isdigit() or token[0] == "-":
            return random.choice(_NUMBERS)
        if token[0].isalpha():
            return random.choice(self._words)
        alike = [t for t in self._tokens if t[0] == token[0]]
        return random.choice(alike or self._tokens)

    def _lines_changed(self, text: str, random: Random) -> str:
        lines = text.splitlines(keepends=True) or [""]
        place, other = random.randrange(len(lines)), random.randrange(len(lines))
        choice = random.randrange(5)
        if choice == 0:
            del lines[place]
        elif choice == 1:
            lines.insert(place, lines[other])
        elif choice == 2:
            lines[place], lines[other] = lines[other], lines[place]
        elif choice == 3 and self._lines:
            lines.insert(place, random.choice(self._lines))
        else:
            del lines[place:other]
        return "".join(lines)
