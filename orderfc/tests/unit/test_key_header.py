"""The header Idempotency-Key: a structured field string or plain text, and one key however often it is given."""

import pytest
from fastapi import Request

from chassis.errors import Invalid
from orderfc.handler.http import _one_key


def key_of(*values: str, token: str | None = None) -> str | None:
    headers = [(b"idempotency-key", value.encode()) for value in values]
    return _one_key(Request({"type": "http", "headers": headers}), token)


def test_a_quoted_key_is_the_key_without_its_quotes() -> None:
    assert key_of('"k"') == key_of("k") == key_of('"k"', "k") == key_of("k", token="k") == "k"
    assert key_of(r'"a \"b\" \\c"') == r'a "b" \c'
    assert key_of(token="t") == "t"
    assert key_of() is None
    assert key_of("x" * 255) == key_of('"' + "x" * 255 + '"')


@pytest.mark.parametrize(
    "values", [("a", "b"), ('"a"', "b"), ("",), ('""',), ('"a',), ('"a"b"',), ("x" * 256,), ('"',)]
)
def test_two_keys_and_what_is_no_key_are_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        key_of(*values)


def test_a_header_and_a_body_that_differ_are_refused() -> None:
    with pytest.raises(Invalid):
        key_of('"k"', token='"k"')
