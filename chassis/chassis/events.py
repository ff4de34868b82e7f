"""Events on the wire: published with CloudEvents 1.0 headers (Kafka binary mode), consumed also without them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self, TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ValidationError

from chassis import telemetry
from chassis.errors import InvalidMessage
from chassis.ids import uuid7

_DERIVED_IDS = UUID("7f3ff0a2-5f5e-4f4c-9d0b-0a5e3c6a1d11")

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Event:
    """One event to publish. `payload` is JSON text; `key` decides the partition, and so the order."""

    topic: str
    key: str
    payload: str
    event_id: UUID = field(default_factory=uuid7)
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, topic: str, key: str, payload: BaseModel | str, *, traceparent: str | None = None) -> Self:
        """Make an event from a payload model, or from JSON text.

        It carries the current trace context. `traceparent` puts it into another trace instead; the current one is then
        kept as a link (`x-link-traceparent`).
        """
        headers = telemetry.inject({})
        if traceparent:
            if headers.get("traceparent"):
                headers["x-link-traceparent"] = headers["traceparent"]
            headers["traceparent"] = traceparent
        text = payload if isinstance(payload, str) else payload.model_dump_json()
        return cls(topic=topic, key=key, payload=text, headers=headers)


def wire_headers(source: str, event_id: UUID, topic: str, time_: datetime, extra: dict[str, str]) -> dict[str, str]:
    """Make the Kafka headers of an event: CloudEvents attributes as `ce_*`, and `extra` (the stored trace headers)."""
    return {
        "ce_id": str(event_id),
        "ce_type": topic,
        "ce_source": source,
        "ce_specversion": "1.0",
        "ce_time": time_.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "content-type": "application/json",
        **extra,
    }


@dataclass(frozen=True, slots=True)
class Message:
    """One consumed Kafka message.

    `event_id` is `ce_id`. When `ce_id` is no UUID the id is derived from topic, `ce_source` and `ce_id`; when there is
    none, from topic, partition and offset.
    """

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    headers: dict[str, str]
    event_id: UUID
    timestamp: int = 0
    raw_key: bytes | None = None
    raw_headers: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def received(
        cls,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp: int = 0,
    ) -> Self:
        """Read a Kafka record; headers may be missing, as from a Go producer."""
        raw = tuple((name, data or b"") for name, data in headers)
        readable = {name.lower(): data.decode("utf-8", "replace") for name, data in raw}
        ce_id = readable.get("ce_id", "")
        try:
            event_id = UUID(ce_id)
        except ValueError:
            # An id that is no UUID is unique within its source only. Without an id the position identifies the event.
            name = f"{topic}\n{readable.get('ce_source', '')}\n{ce_id}" if ce_id else f"{topic}/{partition}/{offset}"
            event_id = uuid5(_DERIVED_IDS, name)
        text_key = key.decode("utf-8", "replace") if key is not None else None
        return cls(topic, partition, offset, text_key, value, readable, event_id, timestamp, key, raw)


def parse(message: Message, model: type[M]) -> M:
    """Parse a message's JSON value into the fields that `model` declares; other fields are ignored.

    Raises InvalidMessage: `null_value`, `invalid_json` or `invalid_payload`.
    """
    if message.value is None:
        raise InvalidMessage("null_value", "the message has no value")
    try:
        return model.model_validate_json(message.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = "invalid_json" if first["type"] == "json_invalid" else "invalid_payload"
        where = ".".join(str(part) for part in first["loc"]) or "value"
        raise InvalidMessage(reason, f"{where}: {first['msg']}") from error
    except ValueError as error:
        raise InvalidMessage("invalid_json", f"value: {error}") from error
