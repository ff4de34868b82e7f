"""The scope of one consumed message: its span is the current one, and its fields are on each log line."""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.trace import Span
from structlog.contextvars import bind_contextvars, clear_contextvars

from chassis import telemetry
from chassis.events import Message
from chassis.logging import direct

# Characters of a key or an id from outside.
MAX_LOGGED = 255

# Neither id may be zero.
_USUAL_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

_inside: ContextVar[Message | None] = ContextVar("message_scope", default=None)


@contextmanager
def message_scope(message: Message) -> Iterator[Span]:
    """Enter the scope of a message. Inside its scope this changes nothing, so that a use-case needs not know."""
    if _inside.get() is message:
        yield trace.get_current_span()
        return
    entered = _inside.set(message)
    try:
        with _span(message) as span, _log_context(message):
            yield span
    finally:
        _inside.reset(entered)


def log_applied(logger: str, event: str, message: Message, **fields: object) -> None:
    """Write the line that a message leaves when it is applied, also outside its scope; see `DirectLines`."""
    if _inside.get() is message:
        ids = telemetry.ids(trace.get_current_span().get_span_context())
    else:
        ids = _unrecorded_ids(message.headers)
    direct.info(event, {"logger": logger, **_log_fields(message), **fields, **ids})


def _unrecorded_ids(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the ids of `Tracing.unrecorded`. The usual header is read without OpenTelemetry, ten times as fast."""
    given = headers.get("traceparent", "")
    usual = _USUAL_TRACEPARENT.fullmatch(given)
    if given and not usual:
        return telemetry.ids(telemetry.tracing.unrecorded(headers))
    trace_id = usual[1] if usual else f"{random.getrandbits(128) or 1:032x}"
    return {"trace_id": trace_id, "span_id": f"{random.getrandbits(64) or 1:016x}"}


@contextmanager
def _span(message: Message) -> Iterator[Span]:
    attributes: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.destination.name": message.topic,
        "messaging.destination.partition.id": str(message.partition),
        "messaging.kafka.offset": message.offset,
        "messaging.message.id": message.event_id[:MAX_LOGGED],
    }
    with telemetry.process_span(message.topic, message.headers, attributes) as span:
        yield span


@contextmanager
def _log_context(message: Message) -> Iterator[None]:
    bind_contextvars(**_log_fields(message))
    try:
        yield
    finally:
        # Clears also what the handler has bound, for example the order: the next message's lines must not carry it.
        clear_contextvars()


def _log_fields(message: Message) -> dict[str, str | int | None]:
    return {
        "topic": message.topic,
        "event_id": message.event_id[:MAX_LOGGED],
        "key": message.key[:MAX_LOGGED] if message.key is not None else None,
        "offset": message.offset,
    }
