"""The rules for e-mail addresses and passwords."""

import pytest

from userfc.model import check_password, comparable_email, normal_email


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("ann@example.com", "ann@example.com"),
        ("  Ann.Lee+shop@Example.COM\n", "ann.lee+shop@example.com"),
        ("ann@shop.test", "ann@shop.test"),
        ("MÜLLER@exämple.com", "müller@exämple.com"),
        ("mu\u0308ller@example.com", "müller@example.com"),
    ],
)
def test_an_address_is_stored_trimmed_and_in_lower_case(typed: str, stored: str) -> None:
    assert normal_email(typed) == stored
    assert comparable_email(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "ann",
        "ann@",
        "@example.com",
        "ann@localhost",
        "ann@test",
        "a b@example.com",
        "a@b@example.com",
        "ann@example.com\x00",
        "ann@127.0.0.1",
        "ann@example",
        "a" * 400 + "@example.com",
        "Ann <ann@example.com>",
    ],
)
def test_what_is_no_address_is_refused_and_can_still_be_compared(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a valid e-mail address"):
        normal_email(typed)
    assert comparable_email(typed) == typed.strip().lower()


@pytest.mark.parametrize("password", ["customer123", "admin12345", " " * 8, "ä" * 128, "👍" * 128, " p w d 1 "])
def test_a_password_of_8_to_128_code_points_is_used_as_it_is(password: str) -> None:
    assert check_password(password) == password


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("", "Password must be at least 8 characters long"),
        ("1234567", "Password must be at least 8 characters long"),
        ("👍" * 7, "Password must be at least 8 characters long"),
        ("x" * 129, "Password must be at most 128 characters long"),
        ("password", "Password is one of the most common ones"),
        ("12345678", "Password is one of the most common ones"),
        ("PassWord1", "Password is one of the most common ones"),
        ("iloveyou", "Password is one of the most common ones"),
        # Names, which the library lists as such although they are common passwords too.
        ("jennifer", "Password is one of the most common ones"),
        ("Michelle", "Password is one of the most common ones"),
    ],
)
def test_other_passwords_are_refused(password: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_password(password)
