"""Types for what comes in from outside: ids that fit the database, and text that PostgreSQL and Redis can store."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

PositiveId = Annotated[int, Field(ge=1, le=2**63 - 1)]


def storable(value: str) -> str:
    """Refuse text with a NUL or half of a surrogate pair, which no store takes. Raises ValueError."""
    if "\x00" in value:
        raise ValueError("must not contain a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain half of a surrogate pair") from None
    return value


Text = Annotated[str, AfterValidator(storable)]
TrimmedText = Annotated[Text, BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)]
