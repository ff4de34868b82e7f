"""Types of input: ids that fit the database, text that PostgreSQL and Redis can store. And ids made here: UUIDv7."""

import secrets
import time
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field


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


Text = Annotated[str, AfterValidator(storable)]
TrimmedText = Annotated[Text, BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)]


def uuid7() -> UUID:
    """Make a time-ordered UUID (RFC 9562, version 7), so that inserts into an index stay at its right-hand edge."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value &= ~(0xF000 << 64) & ~(0xC000 << 48)
    return UUID(int=value | (0x7000 << 64) | (0x8000 << 48))
