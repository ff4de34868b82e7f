"""Reads the keys, headers and times of records: order ids, numbers, and the event that a dead letter is about."""

from datetime import UTC, datetime
from typing import Any

from chassis.events import Message
from console.model.records import DLQ_SUFFIX
from console.model.saga import PRODUCERS

DEAD_LETTERS = {f"{topic}{DLQ_SUFFIX}": topic for topic in PRODUCERS}
"""Dead letter topic -> its topic."""


def order_in(key: str | None) -> int | None:
    """Read the order id in a key or external id such as `order-7`; None when it names no order."""
    digits = key[6:] if key and key.startswith("order-") else ""
    return int(digits) if digits.isascii() and digits.isdecimal() and digits[0] != "0" and len(digits) < 19 else None


def letter_event(topic: str, record: Any) -> Message:
    """Return the message that a record of a dead letter topic is about. It keeps the id that it had at its place."""
    headers = [(name, value or b"") for name, value in record.headers]
    named = {name.lower(): value.decode("utf-8", "replace") for name, value in headers}
    if not named.get("ce_id") and named.get("x-event-id"):
        headers.append(("ce_id", named["x-event-id"].encode()))
    partition, offset = (number(named.get(f"x-source-{part}", "")) for part in ("partition", "offset"))
    return Message.received(topic, partition, offset, record.key, record.value, headers)


def number(text: str) -> int:
    """Read the number in a header; 0 when it has none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def time_of(record: Any) -> datetime:
    """Return a record's time. Its producer has written it: the epoch stands for what is no time."""
    try:
        return datetime.fromtimestamp(record.timestamp / 1000, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return datetime.fromtimestamp(0, UTC)
