"""Prepares foreign texts (names, addresses) for the typesetter."""

import unicodedata
from typing import Any

BREAK = "\N{ZERO WIDTH SPACE}"
# No word of any language joins as many characters. The shaper counts the parts of a syllable in a byte, and its time
# grows with the square of their number.
MAX_JOINED = 24
_JOINING = frozenset({"Mn", "Mc", "Me", "Cf"})
_LANGUAGES = (("ja", 0x3040, 0x30FF), ("ko", 0x1100, 0x11FF), ("ko", 0xAC00, 0xD7A3), ("zh", 0x2E80, 0x9FFF))
# Controls have no shape.
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0))}


def prepared(text: str, *, apart: bool = False) -> dict[str, Any]:
    """Return the lines of a text, whether it runs from right to left, and the language that its shapes follow.

    With `apart` no two characters are joined: any text can be set that way.
    """
    lines = [" ".join(line.split()).translate(_CONTROLS) for line in text.splitlines()]
    separated = BREAK.join if apart else _loosened
    return {
        "lines": [separated(line) for line in lines if line] or [""],
        "rtl": _runs_from_the_right(text),
        "lang": _language(text),
    }


def _loosened(line: str) -> str:
    """Allow a break after so many characters that join each other."""
    made: list[str] = []
    joined, joining = 0, False
    for character in line:
        before, joining = joining, unicodedata.category(character) in _JOINING
        joined = joined + 1 if joining or before else 0
        # Rather before a base character than before a mark, which would stand alone.
        if joined >= MAX_JOINED and (not joining or joined >= MAX_JOINED + 8):
            made.append(BREAK)
            joined = 0
        made.append(character)
    return "".join(made)


def _runs_from_the_right(text: str) -> bool:
    """Return whether the first letter with a direction belongs to a script from right to left (UAX 9, P2 and P3)."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((direction in ("R", "AL") for direction in directions if direction in ("L", "R", "AL")), False)


def _language(text: str) -> str:
    """Return the language of East Asian text: Chinese and Japanese share characters that they write differently."""
    return next((name for name, first, last in _LANGUAGES if any(first <= ord(char) <= last for char in text)), "en")
