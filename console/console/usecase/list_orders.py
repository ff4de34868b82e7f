"""The orders of all customers, page by page, by status, customer and time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode

from console.client.admin_api import AdminApi
from console.usecase.asked import Asked

PAGE = 50
# The pages of 100 orders that are read for a file, whatever the filters leave of them.
FILE_PAGES = 20
STATUSES = ("created", "processing", "completed", "cancelled", "failed")
_MAX_ID = 2**63 - 1


class Unclear(Exception):
    """A filter that can't be understood; the text says which, and what it may be."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders: `customer` is an id or an e-mail address, the times are in UTC, the second one exclusive."""

    status: str = ""
    customer: str = ""
    placed_from: datetime | None = None
    placed_to: datetime | None = None

    @classmethod
    def read(cls, status: str, customer: str, placed_from: str, placed_to: str) -> Self:
        """Raises Unclear."""
        if status and status not in STATUSES:
            raise Unclear(f"A status is one of {', '.join(STATUSES)}")
        customer = customer.strip()
        if customer and "@" not in customer and not _is_id(customer):
            raise Unclear("A customer is an id, such as 7, or an e-mail address")
        return cls(status, customer, _time(placed_from), _time(placed_to))

    def query(self, before: int | None = None) -> str:
        """Return the query of the page that shows these orders."""
        fields = {
            "status": self.status,
            "customer": self.customer,
            "from": self.placed_from and f"{self.placed_from:%Y-%m-%dT%H:%M}",
            "to": self.placed_to and f"{self.placed_to:%Y-%m-%dT%H:%M}",
            "before": before,
        }
        return urlencode({name: value for name, value in fields.items() if value})


@dataclass(slots=True)
class Orders:
    """Orders, newest first, with the accounts of their customers by id; `problem` says why there are none."""

    rows: list[Any]
    next_before: int | None
    accounts: dict[int, Any]
    unread: dict[str, str]
    problem: str = ""


async def list_orders(api: AdminApi, wanted: Wanted, before: int | None) -> Orders:
    """Read one page. Raises Refused when a service refuses the token."""
    asked = Asked()
    user_id, problem = await _customer(api, asked, wanted)
    if problem:
        return Orders([], None, {}, asked.unread, problem)
    asking = api.get("orderfc", "orders", limit=PAGE, before_id=before, **_filters(wanted, user_id))
    found = await asked.of("orderfc", asking, None) or {"items": [], "next_before_id": None}
    rows = found["items"]
    ids = sorted({row["user_id"] for row in rows})
    accounts = await asked.of("userfc", api.get("userfc", "users", ids=",".join(map(str, ids))), None) if ids else None
    by_id = {account["id"]: account for account in (accounts or {"items": []})["items"]}
    return Orders(rows, found["next_before_id"], by_id, asked.unread)


async def all_orders(api: AdminApi, wanted: Wanted) -> tuple[list[Any], bool]:
    """Read up to FILE_PAGES pages, and whether there are more. Raises Refused, NoAnswer and Unclear."""
    asked = Asked()
    user_id, problem = await _customer(api, asked, wanted)
    if problem or asked.unread:
        raise Unclear(problem or "userfc did not answer")
    return await api.pages("orderfc", "orders", "before_id", FILE_PAGES, **_filters(wanted, user_id))


async def _customer(api: AdminApi, asked: Asked, wanted: Wanted) -> tuple[int | None, str]:
    """Return the id of the customer, and why there is none."""
    if not wanted.customer:
        return None, ""
    if "@" not in wanted.customer:
        return int(wanted.customer), ""
    found = await asked.of("userfc", api.get("userfc", "users", email=wanted.customer), None)
    if "userfc" in asked.unread:
        return None, "The e-mail address could not be looked up: userfc did not answer"
    if not found or not found["items"]:
        return None, f"No account has the address {wanted.customer}"
    return int(found["items"][0]["id"]), ""


def _filters(wanted: Wanted, user_id: int | None) -> dict[str, Any]:
    return {
        "status": wanted.status or None,
        "user_id": user_id,
        "created_from": wanted.placed_from and wanted.placed_from.isoformat().replace("+00:00", "Z"),
        "created_to": wanted.placed_to and wanted.placed_to.isoformat().replace("+00:00", "Z"),
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) <= _MAX_ID


def _time(text: str) -> datetime | None:
    """Read a time of a form, in UTC where it names no zone."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unclear("A time is written like 2026-11-28T09:30, in UTC") from None
