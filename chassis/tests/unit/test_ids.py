"""Names: compared in one form, and never invisible."""

import pytest
from pydantic import TypeAdapter, ValidationError

from chassis.ids import Name

NAME: TypeAdapter[str] = TypeAdapter(Name)
INVISIBLE = (
    *("\u200b", "\u00ad\u2060", "\ufeff", "\u3164", "\u2800", "\u115f\u1160", "\uffa0"),
    *("\u202e", "\u034f", "\ufe0f"),
)


def test_a_name_has_one_form_whatever_a_client_types() -> None:
    assert NAME.validate_python(" Cafe\u0301 ") == NAME.validate_python("Caf\u00e9") == "Caf\u00e9"


@pytest.mark.parametrize("name", [*INVISIBLE, "\u0958" * 255, " \u200b ", "\u0301", "\x01", "".join(INVISIBLE)])
def test_a_name_without_visible_characters_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(name)


@pytest.mark.parametrize("name", ["a", "\U0001f600", "\u0645", "\u200ba", "\u0e01\u0e33", "1", "-"])
def test_any_visible_character_makes_a_name(name: str) -> None:
    assert NAME.validate_python(name) == name
