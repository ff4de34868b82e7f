"""What is on the topics of the saga: their dead letter topics, the order ids in keys, identities and times."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.events import Message, identity
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


def event_identity(topic: str, event_id: UUID) -> UUID:
    """Return the identity, as inboxes have it, of an event that the producer of its topic has in its outbox."""
    return identity(PRODUCERS.get(topic, ""), topic, str(event_id))


def letter_event(topic: str, record: Any) -> Message:
    """Return the message that a record of a dead letter topic is about. It keeps the id that it had at its place."""
    headers = [(name, value or b"") for name, value in record.headers]
    named = {name.lower(): value.decode("utf-8", "replace") for name, value in headers}
    if not named.get("ce_id") and named.get("x-event-id"):
        headers.append(("ce_id", named["x-event-id"].encode()))
    partition, offset = (number(named.get(f"x-source-{part}", "")) for part in ("partition", "offset"))
    return Message.received(topic, partition, offset, record.key, record.value, headers)


def is_uuid(event_id: str) -> bool:
    """Whether an event id is one that an outbox can have."""
    try:
        return str(UUID(event_id)) == event_id
    except ValueError:
        return False


def number(text: str) -> int:
    """Read the number in a header; 0 when it has none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def time_of(record: Any) -> datetime:
    """Return a record's time. Its producer has written it: the epoch stands for what is no time."""
    try:
        return datetime.fromtimestamp(record.timestamp / 1000, UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        return datetime.fromtimestamp(0, UTC)
