"""The body of a registration: accepted and refused values."""

import pytest
from pydantic import ValidationError

from userfc.handler.schemas import RegisterBody

GOOD = {"name": "Ann", "email": "ann@example.com", "password": "correct horse", "confirm_password": "correct horse"}


def test_a_name_is_trimmed_an_address_normalised_and_a_password_left_alone() -> None:
    body = {"name": "  Ann Lee ", "email": " ANN@example.com ", "password": "  pass  ", "confirm_password": "  pass  "}
    new = RegisterBody.model_validate({**body, "role": "admin", "id": 1}).new_user()
    assert (new.name, new.email, new.password) == ("Ann Lee", "ann@example.com", "  pass  ")


@pytest.mark.parametrize("name", ["x", "x" * 255, "  " + "ä" * 255 + " "])
def test_names_of_1_to_255_characters_are_names(name: str) -> None:
    assert RegisterBody.model_validate({**GOOD, "name": name}).name == name.strip()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "   "),
        ("name", "x" * 256),
        ("name", 7),
        ("name", None),
        ("name", "a\x00b"),
        ("email", 7),
        ("email", ["ann@example.com"]),
        ("password", 12345678),
        ("password", None),
        ("password", "pass\x00word"),
        ("password", "password1"),
        ("confirm_password", "password2"),
        ("confirm_password", None),
    ],
)
def test_anything_else_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        RegisterBody.model_validate({**GOOD, field: value})
