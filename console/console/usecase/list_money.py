"""The money that a person has to look at: anomalies, refunds, payments that failed, callbacks without a payment."""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from console.client.admin_api import AdminApi
from console.model.written import at_least
from console.usecase.source_errors import SourceErrors

PAGE = 20
MAX_ITEMS = 100
# Refunds of these statuses are not finished.
OPEN_REFUNDS = ("DUE", "REQUESTED", "FAILED", "MANUAL")
REFUND_STATUSES = (*OPEN_REFUNDS, "SUCCEEDED", "SETTLED")


class Tab(StrEnum):
    """The lists of the page."""

    ANOMALIES = "anomalies"
    REFUNDS = "refunds"
    FAILED = "failed"
    CALLBACKS = "callbacks"


@dataclass(frozen=True, slots=True)
class Question:
    """Which list, and which page of it; `status` is that of refunds, `resolved` chooses anomalies."""

    tab: Tab = Tab.ANOMALIES
    status: str = "DUE"
    resolved: bool = False
    page: int = 1


@dataclass(slots=True)
class Money:
    """One list with the number of its rows, and the number of what is open in the others; None is not known.

    `due` has the orders on this page for which a refund is still due.
    """

    rows: list[Any] = field(default_factory=list)
    total: int | None = None
    counts: dict[str, int | None] = field(default_factory=dict)
    due: frozenset[int] = frozenset()
    unread: dict[str, str] = field(default_factory=dict)

    def count(self, name: str) -> str:
        """Write the number of what is open in a list; only MAX_ITEMS callbacks are read."""
        count = self.counts[name]
        return at_least(count, is_whole=count is not None and (name != "callbacks" or count < MAX_ITEMS))

    @property
    def open_refunds(self) -> str:
        counts = [self.counts[status] for status in OPEN_REFUNDS]
        return at_least(sum(count or 0 for count in counts), is_whole=None not in counts)


async def list_money(api: AdminApi, question: Question) -> Money:
    """Read a list and the counts of all. Raises Refused when paymentfc refuses the token."""
    errors = SourceErrors()
    found, open_items, *totals = await asyncio.gather(
        errors.read("paymentfc", _list(api, question), None),
        errors.read("paymentfc", api.get("paymentfc", "payments/open-items", limit=MAX_ITEMS), None),
        *(errors.read("paymentfc", _total(api, status), None) for status in OPEN_REFUNDS),
        errors.read("paymentfc", _open_anomalies(api), None),
    )
    money = Money(unread=errors.unread)
    money.counts = dict(zip((*OPEN_REFUNDS, "anomalies"), totals, strict=True))
    callbacks = open_items["callbacks"] if open_items else []
    money.counts["callbacks"] = len(callbacks) if open_items else None
    if open_items:
        money.due = frozenset(row["order_id"] for row in open_items["refunds"] if row["status"] == "DUE")
    if question.tab is Tab.CALLBACKS:
        money.rows, money.total = callbacks, money.counts["callbacks"]
    elif found is not None:
        money.rows, money.total = _rows(found)
    return money


async def _list(api: AdminApi, question: Question) -> Any:
    paged = {"page": question.page, "page_size": PAGE}
    if question.tab is Tab.ANOMALIES:
        resolved = str(question.resolved).lower()
        return await api.get("paymentfc", "/v1/payments/anomalies", resolved=resolved, **paged)
    if question.tab is Tab.REFUNDS:
        return await api.get("paymentfc", "/v1/payments/refunds", status=question.status, **paged)
    if question.tab is Tab.FAILED:
        return await api.get("paymentfc", "/v1/payments/failed", **paged)
    return None


def _rows(found: Any) -> tuple[list[Any], int]:
    if "payment_list" in found:
        return found["payment_list"], found["total_failed_payments"]
    return found["items"], found["total"]


async def _total(api: AdminApi, status: str) -> int | None:
    found = await api.get("paymentfc", "/v1/payments/refunds", status=status, page_size=1)
    return int(found["total"]) if found else None


async def _open_anomalies(api: AdminApi) -> int | None:
    found = await api.get("paymentfc", "/v1/payments/anomalies", resolved="false", page_size=1)
    return int(found["total"]) if found else None
