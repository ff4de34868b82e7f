"""Types of input: ids that fit the database, text that PostgreSQL and Redis can store. And ids made here: UUIDv7."""

import random
import secrets
import time
import unicodedata
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

MAX_NAME = 255
_UNSEEN = frozenset({"Cc", "Cf", "Mn", "Me", "Zs", "Zl", "Zp"})
# Fillers of Hangul and the blank of Braille are letters and symbols by category.
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def digits(value: Any) -> Any:
    """Raise ValueError for text that only Python reads as a number: `1_0`, `+1`, ` 1`, `1.0`."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("should be a positive whole number")
    return value


PositiveId = Annotated[int, Field(ge=1, le=2**63 - 1)]
# In paths and queries, where every value is text.
PathId = Annotated[PositiveId, BeforeValidator(digits)]


def storable(value: str) -> str:
    """Raise ValueError for text with a NUL or half of a surrogate pair, which no store accepts."""
    if "\x00" in value:
        raise ValueError("must not contain a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain half of a surrogate pair") from None
    return value


def normal_form(value: Any) -> Any:
    """Return text in NFC, in which names are compared: one letter may be one character or several."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def name(value: str) -> str:
    """Return a name in NFC.

    Raises ValueError when nothing of it can be seen (blanks, marks, characters of format or control), and when it is
    too long in that form.
    """
    value = normal_form(value)
    if len(value) > MAX_NAME:
        raise ValueError(f"should have at most {MAX_NAME} characters")
    if all(letter in _BLANK_LETTERS or unicodedata.category(letter) in _UNSEEN for letter in value):
        raise ValueError("should have a visible character")
    return value


Text = Annotated[str, AfterValidator(storable)]
# Of products, categories and people. Lengths come before the validators, so that their sentences count characters.
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME),
    AfterValidator(storable),
    AfterValidator(name),
]
TrimmedText = Annotated[Text, BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)]


def uuid7() -> UUID:
    """Make a time-ordered UUID (RFC 9562, version 7), so that inserts into an index stay at its right-hand edge."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value &= ~(0xF000 << 64) & ~(0xC000 << 48)
    return UUID(int=value | (0x7000 << 64) | (0x8000 << 48))


def request_id() -> str:
    """Make an id of the same form for a request, as hex digits. It names lines of the log and is no secret."""
    now = time.time_ns() // 1_000_000
    return f"{now << 80 | 0x7 << 76 | random.getrandbits(12) << 64 | 0x2 << 62 | random.getrandbits(62):032x}"
