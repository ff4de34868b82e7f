"""Money in and out."""

from decimal import Decimal

import pytest
from pydantic import BaseModel, ValidationError

from chassis import exact_json
from chassis.errors import Invalid
from chassis.money import Amount, AmountParam, Money, check_amount


class Priced(BaseModel):
    """Something with a price."""

    price: Money


@pytest.mark.parametrize("number", ["0.1", "5", "12.5", "9999999999", "0"])
def test_a_json_number_comes_back_as_the_same_text(number: str) -> None:
    priced = Priced.model_validate_json(f'{{"price":{number}}}')
    assert priced.price == Decimal(number)
    assert priced.model_dump_json() == f'{{"price":{number}}}'


@pytest.mark.parametrize("value", ['"5"', "true", "NaN", "1e400", "-Infinity", "null"])
def test_what_is_no_finite_number_is_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        Priced.model_validate_json(f'{{"price":{value}}}')


@pytest.mark.parametrize(
    ("amount", "currency"), [("5.5", "IDR"), ("5.001", "USD"), ("-1", "IDR"), ("10000000000", "IDR"), ("1e30", "USD")]
)
def test_an_amount_that_the_currency_cannot_express_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(Invalid):
        check_amount(Decimal(amount), currency)


def test_an_amount_is_given_back_in_the_currencys_precision() -> None:
    assert str(check_amount(Decimal("5.0"), "IDR")) == "5"
    assert str(check_amount(Decimal("5.5"), "USD")) == "5.50"
    assert str(check_amount(Decimal("-0"), "IDR")) == "0"


class Asked(BaseModel):
    """What a client names as an amount."""

    body: Amount = Decimal(0)
    query: AmountParam = Decimal(0)


@pytest.mark.parametrize(
    "text",
    ["1e-400", "45000.0000000000001", "0.0000001", "1e30", "1e400", "9" * 31, str(2**64), "-1", "1e999999999", "-1e-9"],
)
def test_an_amount_is_judged_by_its_text_and_not_by_the_nearest_float(text: str) -> None:
    with pytest.raises(ValueError, match="must be between 0|at most 6 decimals|finite number|not between 1e-4300 and"):
        Asked.model_validate(exact_json.parse(f'{{"body":{text}}}'.encode()))


def test_an_amount_keeps_every_digit_of_its_text() -> None:
    for text in ("9999999998.999999", "0.000001", "45000", "4.5e4"):
        assert Asked.model_validate(exact_json.parse(f'{{"body":{text}}}'.encode())).body == Decimal(text)


@pytest.mark.parametrize(
    "text", ["1_000", "٥", "５", " 100", "100 ", "+1", "1e3", ".5", "5.", "0x10", "", "NaN", "1,5", "1" * 21, "--1"]
)
def test_a_number_in_a_query_is_a_plain_ascii_decimal(text: str) -> None:
    assert Asked.model_validate({"query": "0.5"}).query == Decimal("0.5")
    with pytest.raises(ValidationError):
        Asked.model_validate({"query": text})
