"""Money in and out."""

from decimal import Decimal

import pytest
from pydantic import BaseModel, ValidationError

from chassis.errors import Invalid
from chassis.money import Money, check_amount


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
