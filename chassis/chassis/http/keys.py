"""The header Idempotency-Key, in the syntax of its draft: `"k"` and `k` are the same key."""

import re

from fastapi import Request

from chassis.errors import Invalid

# A string of a structured field, and its escapes.
_QUOTED = re.compile(r'"(?:[^"\\]|\\["\\])*"')
_ESCAPED = re.compile(r'\\(["\\])')


def idempotency_key(request: Request) -> str | None:
    """Return the key, or None without one. Raises Invalid if two keys differ, or if a value is not a valid key."""
    keys = {_parse(value) for name, value in request.headers.raw if name == b"idempotency-key"}
    if len(keys) > 1:
        raise Invalid("Idempotency-Key: is given twice, with different keys")
    return keys.pop() if keys else None


def _parse(value: bytes) -> str:
    """Return the key of a header: the string of a structured field (RFC 9651) such as `"k"`, or the text as it is."""
    try:
        text = value.decode()
    except UnicodeError as error:
        raise Invalid("Idempotency-Key: must be UTF-8") from error
    if text.startswith('"'):
        if not _QUOTED.fullmatch(text):
            raise Invalid("Idempotency-Key: a key that begins with a quote must end with one")
        text = _ESCAPED.sub(r"\1", text[1:-1])
    if not 1 <= len(text) <= 255:
        raise Invalid("Idempotency-Key: must have 1 to 255 characters")
    return text
