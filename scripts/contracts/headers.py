"""The headers of events and of dead letters: their schemas, and examples from the code that writes the real ones."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.events import wire_headers
from contracts.schemas import Schema
from contracts.topics import READERS, TOPICS, Topic

REASONS = {
    "null_value": "the message has no value",
    "invalid_json": "the value is not JSON",
    "invalid_payload": "a field is missing, of the wrong type or out of range",
    "status_mismatch": "the status does not belong on this topic",
    "unsupported_currency": "the order is in another currency than the platform's",
    "not_yet": "the order did not become known in time",
    "handler_failed": "the handler failed at every try",
    "message_too_large": "key, value and headers have more than 1 MiB",
    "unreadable_record": "the record can't be unpacked, and the letter has none of it",
}

_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_TRACE_PATTERN = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
_EVENT_ID = UUID("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071")
_TIME = datetime(2026, 11, 24, 4, tzinfo=UTC)


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def event_headers() -> Schema:
    """Describe the headers of all events: CloudEvents 1.0 Kafka binary mode, and W3C trace context."""
    properties = {
        "ce_id": _text("UUID version 7, the same on every redelivery.", format="uuid"),
        "ce_type": _text("The topic.", enum=[topic.name for topic in TOPICS]),
        "ce_source": _text("The producing service.", enum=sorted({topic.producer for topic in TOPICS})),
        "ce_specversion": _text("The version of CloudEvents.", const="1.0"),
        "ce_time": _text("When the event was committed: RFC 3339, UTC.", format="date-time"),
        "content-type": _text("The media type of the value.", const="application/json"),
    }
    trace = {
        "traceparent": _text("W3C trace context of what caused the event.", pattern=_TRACE_PATTERN),
        "tracestate": _text("W3C trace state, where the caller sent one."),
        "x-link-traceparent": _text(
            "On payment events, which are in the trace of their order's checkout: the context of what caused them.",
            pattern=_TRACE_PATTERN,
        ),
        "x-replay-traceparent": _text(
            "On what an operator has sent again: the context of that command or request.", pattern=_TRACE_PATTERN
        ),
    }
    return {"type": "object", "properties": {**properties, **trace}, "required": list(properties)}


def headers_of(topic: Topic) -> Schema:
    """Describe the header values that only one topic's events have."""
    return {"type": "object", "properties": {"ce_type": {"const": topic.name}, "ce_source": {"const": topic.producer}}}


def example_headers(topic: Topic) -> dict[str, str]:
    """Return the headers of an example event, as the relay writes them."""
    return wire_headers(topic.producer, _EVENT_ID, topic.name, _TIME, {"traceparent": _TRACE})


def dead_letter_headers() -> Schema:
    """Describe the headers of a dead letter beside those of its original: why it failed, where and when."""
    reasons = "\n".join(["A stable code:", "", *(f"- `{code}`: {meaning}" for code, meaning in REASONS.items())])
    properties = {
        "x-reason": _text(reasons, enum=list(REASONS)),
        "x-error": _text("A sentence for a person.", maxLength=500),
        "x-source-topic": _text("The topic it was read from.", enum=[topic.name for topic in TOPICS]),
        "x-source-partition": _text("Its partition there.", pattern="^[0-9]+$"),
        "x-source-offset": _text("Its offset there; of several records, the first one.", pattern="^[0-9]+$"),
        "x-handler": _text("Consumer group and topic of the handler that could not apply it.", enum=handlers()),
        "x-attempts": _text("How often the handler was run.", pattern="^[0-9]+$"),
        "x-failed-at": _text("When it was written to the dead letter topic: RFC 3339, UTC.", format="date-time"),
    }
    about = "The headers of the original as they were, if it had any, and these."
    properties_of_some = {
        "x-source-last-offset": _text("The last offset, when one letter is about several records.", pattern="^[0-9]+$"),
        "x-event-id": _text("The id that was derived for an original without `ce_id`."),
        "x-value-length": _text("The bytes of a value that was too large to be kept.", pattern="^[0-9]+$"),
        "x-value-sha256": _text("The SHA-256 of that value.", pattern="^[0-9a-f]{64}$"),
        "x-key-length": _text("The bytes of a key that was too large to be kept.", pattern="^[0-9]+$"),
        "x-key-sha256": _text("The SHA-256 of that key.", pattern="^[0-9a-f]{64}$"),
        "x-headers-dropped": _text("How many headers of the original were not kept with it.", pattern="^[0-9]+$"),
    }
    return {
        "type": "object",
        "description": about,
        "properties": {**properties, **properties_of_some},
        "required": list(properties),
    }


def example_dead_letter(topic: Topic) -> dict[str, str]:
    """Return the headers of the dead letter of the value `{}`."""
    return {
        **example_headers(topic),
        "x-reason": "invalid_payload",
        "x-error": "order_id: Field required",
        "x-source-topic": topic.name,
        "x-source-partition": "3",
        "x-source-offset": "1042",
        "x-handler": next(name for name in handlers() if name.endswith(f".{topic.name}")),
        "x-attempts": "1",
        "x-failed-at": "2026-11-24T04:00:00.250000Z",
    }


def handlers() -> list[str]:
    """Return the names of all handlers as dead letters write them: `productfc.stock.updated`."""
    return [f"{reader.service}.{reader.topic}" for reader in READERS if not reader.in_go]
