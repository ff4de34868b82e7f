"""The topics of the saga: who publishes on each, and who must have applied what is on it."""

from chassis.kafka.topics import dlq

PUBLISHER = {
    "order.created": "orderfc",
    "stock.updated": "orderfc",
    "stock.rollback": "orderfc",
    "payment.success": "paymentfc",
    "payment.failed": "paymentfc",
    "stock.rejected": "productfc",
}
CONSUMERS = {
    "order.created": ("paymentfc",),
    "stock.updated": ("productfc",),
    "stock.rollback": ("productfc",),
    "payment.success": ("orderfc",),
    "payment.failed": ("orderfc",),
    "stock.rejected": ("orderfc", "paymentfc"),
}
"""Topic -> services; each consumes in the group, and notes in the inbox, under its own name."""
LETTERS = {dlq(topic): topic for topic in PUBLISHER}
"""Dead letter topic -> its topic."""


def order_in(key: str | None) -> int | None:
    """Read the order id out of a key or external id as `order-7`; None when it names no order."""
    digits = key[6:] if key and key.startswith("order-") else ""
    return int(digits) if digits.isascii() and digits.isdecimal() and digits[0] != "0" and len(digits) < 19 else None
