"""The metrics of consumed messages: what became of them, how long that took, and how old their events were."""

import time
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Final

from opentelemetry.trace import Span
from prometheus_client import Counter

from chassis import clock
from chassis.errors import InvalidMessage
from chassis.events import Message
from chassis.metrics import DELAYS, Histogram, not_negative

REPLAYED_AT: Final = "x-replayed-at"
_LABELS = ["messaging_destination_name", "messaging_consumer_group_name", "error_type"]
CONSUMED = Counter(
    "messaging_client_consumed_messages_total",
    "Messages that were applied, or became dead letters for the reason in error_type",
    _LABELS,
)
PROCESS = Histogram(
    "messaging_process_duration_seconds",
    "Time of one try to apply a message, or a run of messages together; error_type says why it failed",
    _LABELS,
)
DELAY = Histogram(
    "gocommerce_event_delay_seconds",
    "Time from the commit of an event (its ce_time) until a consumer has applied it; none for a replayed dead letter",
    ["topic", "consumer"],
    DELAYS,
)
DEAD_LETTERS = Counter("gocommerce_dead_letters_total", "Dead letters written, by reason", ["topic", "reason"])


class Consumed:
    """The metrics of one topic in one consumer group."""

    def __init__(self, topic: str, group: str) -> None:
        self._topic, self._group = topic, group
        self.handler_name = f"{group}.{topic}"
        self._applied = CONSUMED.labels(topic, group, "")
        self._processed = PROCESS.labels(topic, group, "")
        self._delay = DELAY.labels(topic, group)

    def applied(self, messages: Sequence[Message], started: float, span: Span | None = None) -> None:
        """Record messages that were applied together since `started`, in time.perf_counter(); a run has no span."""
        duration = time.perf_counter() - started
        if span is not None and span.is_recording():
            self._processed.observe_traced(duration, span.get_span_context().trace_id)
        else:
            self._processed.observe(duration)
        self._applied.inc(len(messages))
        self._delay.observe_all(not_negative(ages(messages, clock.time())))

    def failed(self, error: Exception, started: float) -> None:
        """Record a try that raised."""
        kind = error.reason if isinstance(error, InvalidMessage) else type(error).__name__
        PROCESS.labels(self._topic, self._group, kind).observe(time.perf_counter() - started)

    def dead_lettered(self, reason: str) -> None:
        CONSUMED.labels(self._topic, self._group, reason).inc()
        DEAD_LETTERS.labels(self._topic, reason).inc()


def ages(messages: Sequence[Message], now: float) -> list[float]:
    """Return the seconds between `ce_time` and `now` of each message that has a time with a zone, as in RFC 3339.

    A replayed dead letter has none: its time was spent as a dead letter, until an operator came.
    Events that follow each other are of the same second mostly: to read the rest costs a third of the whole text.
    """
    found = []
    second, begins = "", 0.0
    for message in messages:
        if REPLAYED_AT in message.headers:
            continue
        text = message.headers.get("ce_time", "")
        try:
            if text[:20] != second:
                begins = _seconds_of(f"{text[:19]}Z")
                second = text[:20] if text[19:20] == "." else ""
            if second and text[26:] == "Z":
                found.append(now - begins - float(text[19:26]))
            else:
                found.append(now - _seconds_of(text))
        except ValueError:
            second = ""
    return found


def _seconds_of(text: str) -> float:
    """Return the seconds since 1970. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.timestamp()


consumed = cache(Consumed)
