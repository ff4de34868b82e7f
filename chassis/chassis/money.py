"""Money: Decimal inside, JSON numbers outside, and only amounts that the platform's currency can express."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, PlainSerializer, WithJsonSchema

from chassis.errors import Invalid

MAX_AMOUNT = Decimal(9_999_999_999)

# Decimals that Xendit keeps per currency; IDR is truncated by it, the others are safest in whole units too
# (docs/adr and Xendit's own integrations), USD has cents.
DECIMALS = {"IDR": 0, "VND": 0, "PHP": 2, "THB": 2, "MYR": 2, "USD": 2, "SGD": 2, "EUR": 2}


def to_number(amount: Decimal) -> int | float:
    """Give the JSON number of an amount: an int when it is whole, else the float with the same short digits."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


Money = Annotated[
    Decimal,
    Field(allow_inf_nan=False, max_digits=12, decimal_places=2),
    PlainSerializer(to_number, return_type=int | float, when_used="json"),
    WithJsonSchema({"type": "number", "examples": [150000]}),
]


def check_amount(amount: Decimal, currency: str, *, name: str = "amount", allow_zero: bool = True) -> Decimal:
    """Return the amount when it is within 0..9,999,999,999 and the currency can express it.

    Raises Invalid naming the field and the rule otherwise.
    """
    places = DECIMALS.get(currency, 2)
    if not amount.is_finite() or amount < 0 or amount > MAX_AMOUNT or (amount == 0 and not allow_zero):
        least = "0" if allow_zero else "more than 0"
        raise Invalid(f"{name} must be from {least} to {MAX_AMOUNT:,}")
    if amount != round(amount, places):
        unit = "whole units" if places == 0 else f"at most {places} decimals"
        raise Invalid(f"{name} must be in {unit}, as {currency} has")
    return amount
