"""The scope of one consumed message: its span is the current one, and its fields are on each log line."""

from collections.abc import Iterator
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
        span = trace.get_current_span().get_span_context()
    else:
        span = telemetry.tracing.unrecorded(message.headers)
    direct.info(event, {"logger": logger, **_log_fields(message), **fields, **telemetry.ids(span)})


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
