"""The sentence about a wrong value names the field and what is allowed, in the words of JSON."""

from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from chassis.http.validation import sentence


class Line(BaseModel):
    product_id: StrictInt = Field(ge=1)


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = Field(default=1, ge=1, le=1000)
    amount: Decimal = Field(default=Decimal(1), max_digits=10, decimal_places=2, ge=0)
    name: str = Field(default="ab", min_length=2, max_length=1000)
    lines: list[Line] = Field(default_factory=lambda: [Line(product_id=1)], min_length=1, max_length=100)
    labels: dict[str, str] = Field(default_factory=dict)
    state: Literal["open", "closed"] = "open"
    gift: StrictBool = False


def refusal(body: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        Body.model_validate(body)
    return sentence([{**error, "loc": ("body", *error["loc"])} for error in raised.value.errors()])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"count": "a"}, "count: should be a whole number"),
        ({"count": 1.5}, "count: should be a whole number"),
        ({"count": None}, "count: should be a whole number"),
        ({"count": 0}, "count: should be greater than or equal to 1"),
        ({"count": 10**30}, "count: should be less than or equal to 1000"),
        ({"count": "9" * 5000}, "count: should be a whole number of at most 4300 digits"),
        ({"amount": "a"}, "amount: should be a number"),
        ({"amount": []}, "amount: should be a number"),
        ({"amount": "NaN"}, "amount: should be a finite number"),
        ({"amount": "1.234"}, "amount: should have at most 2 decimal places"),
        ({"amount": 10**11}, "amount: should have at most 10 digits"),
        ({"amount": 10**9}, "amount: should have at most 8 digits before the decimal point"),
        ({"name": 7}, "name: should be a string"),
        ({"name": "\ud800"}, "name: should be a string of Unicode characters"),
        ({"name": "a"}, "name: should have at least 2 characters"),
        ({"name": "a" * 1001}, "name: should have at most 1000 characters"),
        ({"lines": 1}, "lines: should be an array"),
        ({"lines": []}, "lines: should have at least 1 item"),
        ({"lines": [{"product_id": 1}] * 101}, "lines: should have at most 100 items"),
        ({"lines": [1]}, "lines[0]: should be an object"),
        ({"lines": [{}]}, "lines[0].product_id: is required"),
        ({"labels": []}, "labels: should be an object"),
        ({"labels": {"a": 1}}, "labels.a: should be a string"),
        ({"state": "shut"}, "state: should be 'open' or 'closed'"),
        ({"gift": 1}, "gift: should be true or false"),
        ({"colour": 1}, "colour: is not known here"),
        ([], "The body should be a JSON object"),
    ],
)
def test_a_refusal_names_the_field_and_what_is_allowed(body: Any, expected: str) -> None:
    assert refusal(body) == expected
