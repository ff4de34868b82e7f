"""JSON from outside, parsed exactly: an integer is an int, any other number the Decimal of its text, never a float."""

import re
from decimal import Decimal
from typing import Any

import jiter

# A NUL as an escape: an odd number of backslashes before it. Neither PostgreSQL nor Redis stores one.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_CONSTANT = re.compile(rb"-?(?:NaN|Infinity)")
# Only text with one of these has a number that is read as a Decimal.
_FRACTION_OR_EXPONENT = re.compile(rb"[0-9][.eE]")
MAX_EXPONENT = 4_300
_TOO_WIDE = f"a number is not between 1e-{MAX_EXPONENT} and 1e{MAX_EXPONENT}"


class ForbiddenText(ValueError):
    """Text that JSON allows and no store accepts."""


def parse(text: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises ForbiddenText for a NUL character or half of a surrogate pair, and ValueError for anything that is not JSON,
    for NaN and infinities, integers of more than 4,300 digits, exponents beyond 4,300 and more than 200 levels.
    """
    if b"\\u0000" in text and _NUL.search(text):
        raise ForbiddenText("Text must not contain a NUL character")
    try:
        content = jiter.from_json(text, float_mode="decimal", allow_inf_nan=False, cache_mode="keys")
    except ValueError as error:
        if "hex escape" in str(error):
            raise ForbiddenText("Text must not contain half of a surrogate pair") from None
        raise ValueError(_reason(text, str(error))) from None
    if _FRACTION_OR_EXPONENT.search(text):
        _refuse_wide_numbers(content)
    return content


def _refuse_wide_numbers(content: Any) -> None:
    """Raise ValueError for a number beyond the bounds: to make an integer of 1e99999999 or 1e-99999999 takes hours."""
    if isinstance(content, Decimal):
        if abs(content.adjusted()) > MAX_EXPONENT:
            raise ValueError(_TOO_WIDE)
    elif isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            _refuse_wide_numbers(part)


def _reason(text: bytes, reason: str) -> str:
    """Return a sentence for what other parsers of JSON accept; else the parser's own."""
    if b"\0" in text or not _is_utf8(text):
        return "it must be UTF-8 and must not contain NUL bytes"
    if constant := _CONSTANT.search(text):
        return f"{constant[0].decode()} is not a JSON value"
    # An exponent that no Decimal can have.
    return _TOO_WIDE if "InvalidOperation" in reason else reason


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
