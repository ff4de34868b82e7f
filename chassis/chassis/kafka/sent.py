"""The metrics of sent messages: how many, and how long events wait in the outbox until Kafka has them."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache

from prometheus_client import Counter

from chassis import clock
from chassis.metrics import DELAYS, Histogram, Series, not_negative

SENT = Counter(
    "messaging_client_sent_messages_total",
    "Messages that Kafka has acknowledged, or, with an error_type, tries of one that failed",
    ["messaging_destination_name", "error_type"],
)
DELAY = Histogram(
    "gocommerce_outbox_publish_delay_seconds",
    "Time from the commit of an event until Kafka has acknowledged it",
    ["topic"],
    DELAYS,
)


@cache
def _sent(topic: str) -> Counter:
    return SENT.labels(topic, "")


@cache
def _delay(topic: str) -> Series:
    return DELAY.labels(topic)


def sent(topic: str, count: int) -> None:
    _sent(topic).inc(count)


def failed(topic: str, count: int, error: Exception) -> None:
    SENT.labels(topic, type(error).__name__).inc(count)


def published(topic: str, committed: Iterable[datetime]) -> None:
    """Record events of a topic that Kafka has acknowledged just now."""
    now = clock.time()
    _delay(topic).observe_all(not_negative([now - at.timestamp() for at in committed]))
