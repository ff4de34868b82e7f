"""Money: a Decimal inside, a JSON number on the wire, never more precise than its currency."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from chassis.errors import Invalid

MAX_AMOUNT = Decimal(9_999_999_999)
# More than any currency has; the currency's own are checked where it is known.
MAX_DECIMALS = 6
_PLAIN = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
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


def _in_range(value: Decimal) -> Decimal:
    if not 0 <= value <= MAX_AMOUNT or not _is_short(value):
        raise ValueError(f"should be between 0 and {MAX_AMOUNT:,}, with at most {MAX_DECIMALS} decimals")
    return value


def _amount(value: Decimal) -> Decimal:
    if not 0 <= value <= MAX_AMOUNT:
        raise ValueError(f"An amount must be between 0 and {MAX_AMOUNT:,}")
    if not _is_short(value):
        raise ValueError(f"An amount must have at most {MAX_DECIMALS} decimals")
    return value


def _is_short(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MAX_DECIMALS


def _from_text(value: Any) -> Any:
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError("should be a number such as 45000 or 0.5")
    return value


Amount = Annotated[Money, AfterValidator(_amount)]
"""Money in a request. Its JSON must have been parsed exactly, see chassis.exact_json."""

AmountParam = Annotated[
    Decimal,
    BeforeValidator(_from_text),
    Field(allow_inf_nan=False),
    AfterValidator(_in_range),
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
