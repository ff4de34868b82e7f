"""Names on the topics of the saga: dead letter topics, and the order ids in keys."""

from chassis.kafka.topics import dlq
from contracts.topics import PRODUCERS

PUBLISHERS = tuple(sorted(set(PRODUCERS.values())))
"""The services that have an outbox."""
DEAD_LETTERS = {dlq(topic): topic for topic in PRODUCERS}
"""Dead letter topic -> its topic."""


def order_in(key: str | None) -> int | None:
    """Read the order id in a key or external id such as `order-7`; None when it names no order."""
    digits = key[6:] if key and key.startswith("order-") else ""
    return int(digits) if digits.isascii() and digits.isdecimal() and digits[0] != "0" and len(digits) < 19 else None
