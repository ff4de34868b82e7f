"""Checks the body of a create call and answers in the words of Joi, which Xendit's own messages suggest it uses."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from xendit_sim.errors import BAD_FORMAT, ApiError
from xendit_sim.model import ECHOED, Number

CURRENCIES = ("IDR", "USD", "THB", "VND", "PHP", "MYR")
MAX_DURATION_S = 31_536_000
SAFE = 2**53 - 1
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
TEXTS = {
    "description": (1, None),
    "payer_email": (1, None),
    "success_redirect_url": (1, 255),
    "failure_redirect_url": (1, 255),
    "locale": (1, None),
}


@dataclass(frozen=True)
class Draft:
    """A valid create call; the amount is that of the invoice, without the decimals of IDR."""

    external_id: str
    amount: Number
    currency: str
    duration_s: int
    given: dict[str, Any]


def read_json(raw: bytes) -> Any:
    """Parse a request body. Raises ApiError INVALID_JSON_FORMAT."""

    def no_constant(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        return json.loads(raw.decode(), parse_float=Decimal, parse_constant=no_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ApiError(400, "INVALID_JSON_FORMAT", "The request body is not valid JSON") from error


def read_draft(body: object) -> Draft:
    """Check a create call. Raises ApiError with one entry in `errors` for each invalid field."""
    checks = Checks(body if isinstance(body, dict) else {})
    if not isinstance(body, dict):
        checks.fail("value", "must be an object", "object.base")
    checks.text("external_id", 1, 255, required=True)
    checks.number("amount", required=True, greater=0)
    checks.number("invoice_duration", integer=True, greater=0, most=MAX_DURATION_S)
    for name, (least, most) in TEXTS.items():
        checks.text(name, least, most)
    for name in ("customer", "metadata", "customer_notification_preference", "channel_properties"):
        checks.kind(name, dict, "must be of type object", "object.base")
    for name in ("should_send_email", "should_authenticate_credit_card"):
        checks.kind(name, bool, "must be a boolean", "boolean.base")
    checks.strings("payment_methods")
    checks.number("reminder_time")
    checks.text("reminder_time_unit", 1, None)
    checks.rows("items", 75, _check_item)
    checks.rows("fees", 10, _check_fee)
    checks.text("currency", 1, None)
    checks.metadata()
    checks.done()
    assert isinstance(body, dict)
    return _draft(body)


def _draft(body: dict[str, Any]) -> Draft:
    """Apply the rules that have error codes of their own, and what Xendit does to amounts."""
    currency = body.get("currency", "IDR")
    if currency not in CURRENCIES:
        raise ApiError(400, "UNSUPPORTED_CURRENCY", f"The currency {currency} is not supported")
    for email in (body.get("payer_email"), (body.get("customer") or {}).get("email")):
        if email is not None and not (isinstance(email, str) and EMAIL.fullmatch(email)):
            raise ApiError(400, "EMAIL_FORMAT_ERROR", "The email format is invalid")
    _check_reminder(body)
    amount = plain(math.trunc(body["amount"]) if currency == "IDR" else body["amount"])
    if amount == 0:  # less than one rupiah, or too small for a float
        raise _invalid([_error("amount", "must be greater than 0", "number.greater")])
    given = {name: plain(body[name]) for name in (*ECHOED, "should_send_email") if name in body}
    return Draft(plain(body["external_id"]), amount, currency, int(body.get("invoice_duration", 86_400)), given)


def _check_reminder(body: dict[str, Any]) -> None:
    """Accept 1 to 30 days or 1 to 24 hours; the simulator sends no reminders."""
    most = {"days": 30, "hours": 24}.get(body.get("reminder_time_unit", "days"), 0)
    if not 1 <= body.get("reminder_time", 1) <= most:
        raise ApiError(400, "INVALID_REMINDER_TIME", "The reminder time is 1 to 30 days or 1 to 24 hours")


def plain(value: Any) -> Any:
    """Convert parsed JSON to what JavaScript writes: whole numbers as integers, infinity as null.

    Halves of surrogate pairs, which JSON can hold and UTF-8 can't, become the replacement character.
    """
    if isinstance(value, Decimal):
        if _is_safe(value) and value == value.to_integral_value():
            return int(value)
        return number if math.isfinite(number := float(value)) else None
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _is_safe(value: int | Decimal) -> bool:
    """Compare without arithmetic: `abs` of a Decimal rounds, and overflows."""
    return -SAFE <= value <= SAFE


def _error(name: str, says: str, kind: str) -> dict[str, Any]:
    path = [int(part) if part.isdecimal() else part for part in name.split(".")]
    return {"field": path, "location": "body", "messages": [f'"{path[-1]}" {says}'], "types": [kind]}


def _invalid(errors: list[dict[str, Any]]) -> ApiError:
    return ApiError(400, "API_VALIDATION_ERROR", BAD_FORMAT, errors)


@dataclass
class Checks:
    """Collects the errors of an object's fields; absent fields are valid unless required."""

    body: dict[str, Any]
    prefix: str = ""
    errors: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, name: str, says: str, kind: str) -> None:
        self.errors.append(_error(self.prefix + name, says, kind))

    def _absent(self, name: str, *, required: bool) -> bool:
        if name not in self.body and required:
            self.fail(name, "is required", "any.required")
        return name not in self.body

    def text(self, name: str, least: int, most: int | None, *, required: bool = False) -> None:
        if self._absent(name, required=required):
            return
        value = self.body[name]
        if not isinstance(value, str):
            self.fail(name, "must be a string", "string.base")
        elif least and not value:
            self.fail(name, "is not allowed to be empty", "any.empty")
        elif most and len(value) > most:
            self.fail(name, f"length must be less than or equal to {most} characters long", "string.max")

    def number(
        self,
        name: str,
        *,
        required: bool = False,
        integer: bool = False,
        greater: int | None = None,
        least: int | None = None,
        most: int | None = None,
    ) -> None:
        if self._absent(name, required=required):
            return
        value = self.body[name]
        number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if integer and not (number and _is_safe(value) and value == int(value)):
            self.fail(name, "must be an integer", "number.integer")
        elif not number:
            self.fail(name, "must be a number", "number.base")
        elif not _is_safe(value):
            self.fail(name, "must be a safe number", "number.unsafe")
        elif greater is not None and value <= greater:
            self.fail(name, f"must be greater than {greater}", "number.greater")
        elif least is not None and value < least:
            self.fail(name, f"must be larger than or equal to {least}", "number.min")
        elif most is not None and value > most:
            self.fail(name, f"must be less than or equal to {most}", "number.max")

    def kind(self, name: str, wanted: type, says: str, kind: str) -> None:
        if name in self.body and not isinstance(self.body[name], wanted):
            self.fail(name, says, kind)

    def strings(self, name: str) -> None:
        value = self.body.get(name, [])
        if not isinstance(value, list):
            self.fail(name, "must be an array", "array.base")
            return
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.fail(f"{name}.{index}", "must be a string", "string.base")

    def rows(self, name: str, most: int, check: "Callable[[Checks], None]") -> None:
        value = self.body.get(name, [])
        if not isinstance(value, list):
            self.fail(name, "must be an array", "array.base")
            return
        if len(value) > most:
            self.fail(name, f"must contain less than or equal to {most} items", "array.max")
            return
        for index, row in enumerate(value):
            if isinstance(row, dict):
                check(Checks(row, f"{self.prefix}{name}.{index}.", self.errors))
            else:
                self.fail(f"{name}.{index}", "must be an object", "object.base")

    def metadata(self) -> None:
        value = self.body.get("metadata")
        if not isinstance(value, dict):
            return
        if len(value) > 50:
            self.fail("metadata", "must have less than or equal to 50 children", "object.max")
        if any(len(key) > 40 or (isinstance(text, str) and len(text) > 500) for key, text in value.items()):
            self.fail("metadata", "must have keys of up to 40 and values of up to 500 characters", "object.length")

    def done(self) -> None:
        if self.errors:
            raise _invalid(self.errors)


def _check_item(checks: Checks) -> None:
    checks.text("name", 1, 256, required=True)
    checks.number("price", required=True)
    checks.number("quantity", required=True, least=0, most=510_000)


def _check_fee(checks: Checks) -> None:
    checks.text("type", 1, None, required=True)
    checks.number("value", required=True)
