"""The scope of one consumed message: its span is the current one, and its fields are on each log line."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.trace import Span
from structlog.contextvars import bind_contextvars, clear_contextvars

from chassis import telemetry
from chassis.events import Message
from chassis.logging import direct
from chassis.trace_context import usual_trace_id

# Characters of a key or an id from outside.
MAX_LOGGED = 255

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
    """Return the ids of `Tracing.unrecorded`, which makes more than ids."""
    given = headers.get("traceparent", "")
    usual = usual_trace_id(given)
    if given and not usual:
        return telemetry.ids(telemetry.tracing.unrecorded(headers).get_span_context())
    return {
        "trace_id": usual or f"{random.getrandbits(128) or 1:032x}",
        "span_id": f"{random.getrandbits(64) or 1:016x}",
    }


@contextmanager
def _span(message: Message) -> Iterator[Span]:
    with telemetry.process_span(message.topic, message.headers) as span:
        if span.is_recording():
            span.set_attributes(_attributes(message))
        yield span


def _attributes(message: Message) -> dict[str, str | int]:
    return {
        **telemetry.messaging("process", message.topic, message.partition, message.key),
        "messaging.kafka.offset": message.offset,
        "messaging.message.id": message.event_id[:MAX_LOGGED],
    }


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
