"""The events of an order: who publishes and who consumes each topic, and which of them an order must have by now."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

PRODUCERS: Mapping[str, str] = {
    "order.created": "orderfc",
    "stock.updated": "orderfc",
    "stock.rollback": "orderfc",
    "order.cancelled": "orderfc",
    "payment.success": "paymentfc",
    "payment.failed": "paymentfc",
    "stock.rejected": "productfc",
}
CONSUMERS: Mapping[str, tuple[str, ...]] = {
    "order.created": ("paymentfc",),
    "stock.updated": ("productfc",),
    "stock.rollback": ("productfc",),
    "order.cancelled": ("paymentfc",),
    "payment.success": ("orderfc",),
    "payment.failed": ("orderfc",),
    "stock.rejected": ("orderfc", "paymentfc"),
}
TOPIC_RETENTION = timedelta(days=7)
"""How long topics and outboxes keep an event, by default: see chassis/kafka/topics.toml and OUTBOX_KEEP_DAYS."""
PUBLISHERS = tuple(sorted(set(PRODUCERS.values())))
SERVICES = ("orderfc", "productfc", "paymentfc")

# Of a closed payment only these reasons publish payment.failed: the others were news of orderfc's own.
_SILENT_REASONS = frozenset({"stock_rejected", "order_cancelled"})
_ROLLED_BACK = frozenset({"payment_failed", "customer"})


def expected(
    order: Mapping[str, Any] | None, payment: Mapping[str, Any] | None, stock: list[dict[str, Any]]
) -> Iterator[str]:
    """Yield the topics on which an event of this order must have been published, by what the services have stored."""
    if order is not None:
        yield from ("order.created", "stock.updated")
        causes = {step["cause"] for step in order["history"]}
        if causes & _ROLLED_BACK:
            yield "stock.rollback"
        if "customer" in causes:
            yield "order.cancelled"
    if payment is not None:
        if payment["status"] == "PAID" or payment["late_paid_at"] is not None:
            yield "payment.success"
        if payment["status"] in ("EXPIRED", "FAILED") and payment["reason"] not in _SILENT_REASONS:
            yield "payment.failed"
    if any(row["state"] == "REJECTED" for row in stock):
        yield "stock.rejected"
