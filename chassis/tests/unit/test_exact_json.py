"""JSON from outside: exact numbers, and nothing that other parsers accept beyond the standard."""

from decimal import Decimal

import pytest

from chassis import exact_json


def test_numbers_are_those_of_the_text() -> None:
    text = b"[1, 1.0, 1e-400, 45000.0000000000001, 18446744073709551616]"
    assert exact_json.parse(text) == [1, Decimal("1.0"), Decimal("1e-400"), Decimal("45000.0000000000001"), 2**64]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"NaN", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"1" * 5000, "number"),
        (b"[" * 300, "recursion"),
        (b'{"order_id": 1e99999999}', "between"),
        (b'[{"order_id": 1e-99999999}]', "between"),
        (b"-1E+4301", "between"),
        (b"0." + b"0" * 5000 + b"1", "between"),
        (b"1e99999999999999999999", "between"),
        (b'"\xff"', "UTF-8"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\u0000"', "NUL"),
        (b'"\\\\\\u0000"', "NUL"),
        (b"{} {}", "trailing"),
        (b"", "EOF"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(text: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        exact_json.parse(text)


def test_a_wide_number_in_a_text_is_text() -> None:
    assert exact_json.parse(b'["No.5 1e99999999", 1e4300]') == ["No.5 1e99999999", Decimal("1e4300")]


def test_a_backslash_before_digits_is_no_nul() -> None:
    assert exact_json.parse(b'"\\\\u0000"') == "\\u0000"
