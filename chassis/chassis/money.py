"""Money: a Decimal inside, a JSON number on the wire, never more precise than its currency."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from chassis.errors import Invalid

MAX_AMOUNT = Decimal(9_999_999_999)
_NO_DECIMALS = frozenset({"IDR", "JPY", "KRW", "VND", "CLP", "ISK", "UGX"})


def places(currency: str) -> int:
    """Return the number of decimals of amounts in a currency. Rupiah are counted whole."""
    return 0 if currency in _NO_DECIMALS else 2


def _from_json(value: Any) -> Any:
    if isinstance(value, bool | str | bytes):
        raise ValueError("should be a number")
    # repr is the shortest text that reads back as this float: 0.1 stays 0.1.
    return Decimal(repr(value)) if isinstance(value, float) else value


def _to_json(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


Money = Annotated[
    Decimal,
    BeforeValidator(_from_json, json_schema_input_type=float),
    Field(allow_inf_nan=False),
    PlainSerializer(_to_json, return_type=int | float, when_used="json"),
]


MoneyParam = Annotated[
    Decimal,
    Field(allow_inf_nan=False),
    PlainSerializer(_to_json, return_type=int | float, when_used="json"),
]
"""Money in a query string, where every value is text."""


def check_amount(amount: Decimal, currency: str) -> Decimal:
    """Return the amount with the precision of its currency.

    Raises Invalid outside 0..9,999,999,999, and for an amount that the currency can't express.
    """
    if not amount.is_finite() or not 0 <= amount <= MAX_AMOUNT:
        raise Invalid(f"An amount must be between 0 and {MAX_AMOUNT:,}")
    digits = places(currency)
    rounded = amount.quantize(Decimal(1).scaleb(-digits))
    if rounded != amount:
        allowed = "whole" if digits == 0 else f"given with at most {digits} decimals"
        raise Invalid(f"An amount in {currency} must be {allowed}")
    return abs(rounded)
