"""Which orders a list shows: the filters as a person typed them, what they mean, and the query that keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode

from console.model.steps import Step

STATUSES = ("created", "processing", "completed", "cancelled", "failed")
MAX_NAME = 255
_MAX_ID = 2**63 - 1


class Unclear(Exception):
    """A filter that can't be understood; the text says which, and what it may be."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders: all filters have to fit.

    `customer` is an id or an e-mail address, `product` an id or a part of a name, `step` what the order waits for. The
    times are in UTC, the second one exclusive.
    """

    status: str = ""
    customer: str = ""
    product: str = ""
    step: Step | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None

    @classmethod
    def read(cls, typed: Mapping[str, str]) -> Self:
        """Raises Unclear."""
        status, step = typed.get("status", ""), typed.get("step", "")
        if status and status not in STATUSES:
            raise Unclear(f"A status is one of {', '.join(STATUSES)}")
        if step and step not in set(Step):
            raise Unclear(f"What an order waits for is one of {', '.join(Step)}")
        customer, product = typed.get("customer", "").strip(), typed.get("product", "").strip()
        if customer and "@" not in customer and not is_id(customer):
            raise Unclear("A customer is an id, such as 7, or an e-mail address")
        if product and not (is_id(product) or _is_name(product)):
            raise Unclear(f"A product is an id, such as 7, or a part of its name, of up to {MAX_NAME} characters")
        times = (_time(typed.get(name, "")) for name in ("from", "to"))
        return cls(status, customer, product, Step(step) if step else None, *times)

    def query(self, before: int | None = None) -> str:
        """Return the query of the page that shows these orders."""
        fields = {
            "status": self.status,
            "customer": self.customer,
            "product": self.product,
            "step": self.step and self.step.value,
            "from": self.placed_from and _typed(self.placed_from),
            "to": self.placed_to and _typed(self.placed_to),
            "before": before,
        }
        return urlencode({name: value for name, value in fields.items() if value})

    def filters(self) -> dict[str, Any]:
        """Return the filters of orderfc that need no other service."""
        return {
            "status": self.status or None,
            "created_from": self.placed_from and self.placed_from.isoformat().replace("+00:00", "Z"),
            "created_to": self.placed_to and self.placed_to.isoformat().replace("+00:00", "Z"),
        }


def is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) <= _MAX_ID


def _is_name(text: str) -> bool:
    return len(text) <= MAX_NAME and text.isprintable() and not text.isdecimal()


def _typed(time: datetime) -> str:
    """Write a time as the fields of the form take it: they know no zone."""
    return time.replace(tzinfo=None).isoformat()


def _time(text: str) -> datetime | None:
    """Read a time of a form, in UTC where it names no zone."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unclear("A time is written like 2026-11-28T09:30, in UTC") from None
