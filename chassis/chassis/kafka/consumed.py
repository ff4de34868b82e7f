"""The metrics of consumed messages: what became of them, how long that took, and how old their events were."""

import time
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from opentelemetry.trace import Span
from prometheus_client import Counter

from chassis.errors import InvalidMessage
from chassis.events import Message
from chassis.metrics import DELAYS, Histogram

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
    "Time from the commit of an event (its ce_time) until a consumer has applied it",
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
        now = time.time()
        for message in messages:
            if (committed := seconds_of(message.headers.get("ce_time", ""))) is not None:
                # Two machines have two clocks.
                self._delay.observe(max(now - committed, 0.0))

    def failed(self, error: Exception, started: float) -> None:
        """Record a try that raised."""
        kind = error.reason if isinstance(error, InvalidMessage) else type(error).__name__
        PROCESS.labels(self._topic, self._group, kind).observe(time.perf_counter() - started)

    def dead_lettered(self, reason: str) -> None:
        CONSUMED.labels(self._topic, self._group, reason).inc()
        DEAD_LETTERS.labels(self._topic, reason).inc()


def seconds_of(time_text: str) -> float | None:
    """Return the seconds since 1970 of a time with a zone, as in RFC 3339; None for any other text."""
    try:
        return datetime.fromisoformat(time_text).timestamp() if time_text[-1:] == "Z" else None
    except (ValueError, OverflowError):
        return None


consumed = cache(Consumed)
