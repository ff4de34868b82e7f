"""Types of what comes in from outside: ids that fit a BIGINT, and text that PostgreSQL can store."""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, Field

MAX_ID = 2**63 - 1

PositiveId = Annotated[int, Field(ge=1, le=MAX_ID)]
PathId = Annotated[int, Path(ge=1, le=MAX_ID)]


def storable(text: str) -> str:
    """Return the text when it can be stored; raises ValueError for NUL and lone surrogates."""
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must be valid Unicode") from error
    return text


Text = Annotated[str, AfterValidator(storable)]
TrimmedText = Annotated[str, AfterValidator(storable), AfterValidator(str.strip)]
