"""Events on the wire: published with CloudEvents 1.0 headers (Kafka binary mode), consumed also without them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha1, sha256
from typing import Any, NamedTuple, Self, TypeVar, cast
from uuid import UUID, uuid5

import orjson
from pydantic import BaseModel, ValidationError

from chassis import exact_json, telemetry
from chassis.errors import InvalidMessage
from chassis.ids import uuid7

_DERIVED_IDS = UUID("7f3ff0a2-5f5e-4f4c-9d0b-0a5e3c6a1d11")
_IDENTITIES = UUID("2e1b7f39-6a54-4c1f-8f0c-d5b8f2a7c963")

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

        It carries the current trace context. `traceparent` puts it into another trace instead, unless the current one
        is the same; the current one is then kept as a link (`x-link-traceparent`).
        """
        headers = telemetry.inject({})
        current = headers.get("traceparent")
        if traceparent and not (current and telemetry.same_trace(current, traceparent)):
            if current:
                headers[telemetry.LINK] = current
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
        "ce_time": orjson.dumps(time_.astimezone(UTC), option=orjson.OPT_UTC_Z)[1:-1].decode(),
        "content-type": "application/json",
        **extra,
    }


class Unreadable(NamedTuple):
    """The offsets of a partition that can't be unpacked, and the reason."""

    first: int
    last: int
    cause: str


# Not frozen: that would cost more than all else that is done to receive a message.
@dataclass(slots=True)
class Message:
    """One consumed Kafka message.

    `event_id` is its `ce_id`; without one it is derived from the message's place, time and content. `identity` is what
    the inbox keeps. `unreadable` is set when the record can't be unpacked: then there is no key, value or header.
    """

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    headers: dict[str, str]
    event_id: str
    timestamp: int = 0
    raw_key: bytes | None = None
    raw_headers: tuple[tuple[str, bytes], ...] = ()
    unreadable: Unreadable | None = None

    @classmethod
    def received(
        cls,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]] = (),
        timestamp: int = 0,
    ) -> Self:
        """Read a Kafka record; headers may be missing, as from a Go producer. `timestamp` is in milliseconds."""
        raw = cast("tuple[tuple[str, bytes], ...]", tuple(headers))
        try:
            readable = _readable(raw)
        except AttributeError:
            # A value is null. To look for that first would cost a quarter of all that is done here.
            raw = tuple((name, data or b"") for name, data in raw)
            readable = _readable(raw)
        # The position alone is not enough: it comes again when a topic is made anew.
        event_id = readable.get("ce_id") or str(
            uuid5(_DERIVED_IDS, repr((topic, partition, offset, timestamp, _digest(key), _digest(value))))
        )
        text_key = key.decode("utf-8", "replace") if key is not None else None
        return cls(topic, partition, offset, text_key, value, readable, event_id, timestamp, key, raw)

    @classmethod
    def unpackable(cls, topic: str, partition: int, unreadable: Unreadable) -> Self:
        """Stand for the records of a topic that can't be unpacked."""
        event_id = str(uuid5(_DERIVED_IDS, repr((topic, partition, unreadable.first, unreadable.last))))
        return cls(topic, partition, unreadable.last, None, None, {}, event_id, unreadable=unreadable)

    @property
    def size_bytes(self) -> int:
        """The bytes of key, value and headers."""
        headers = sum([len(name) + len(data) for name, data in self.raw_headers])
        return len(self.value or b"") + len(self.raw_key or b"") + headers

    @property
    def identity(self) -> UUID:
        return identity(self.headers.get("ce_source", ""), self.topic, self.event_id)


def identity(source: str, topic: str, event_id: str) -> UUID:
    """Return the identity of an event. An id is unique within its source and topic only."""
    named = _IDENTITIES.bytes + repr((source, topic, event_id)).encode()
    # As uuid5, which costs twice as much.
    return UUID(bytes=sha1(named, usedforsecurity=False).digest()[:16], version=5)


def _readable(headers: tuple[tuple[str, bytes], ...]) -> dict[str, str]:
    return {name.lower(): data.decode("utf-8", "replace") for name, data in headers}


def _digest(data: bytes | None) -> str:
    return sha256(data).hexdigest() if data is not None else ""


def parse(message: Message, model: type[M]) -> M:
    """Parse a message's JSON value into the fields that `model` declares; other fields are ignored.

    A field that is null counts as absent: Go writes a slice without elements as null. Raises InvalidMessage:
    `null_value`, `invalid_json` or `invalid_payload`.
    """
    if message.value is None:
        raise InvalidMessage("null_value", "the message has no value")
    try:
        content = exact_json.parse(message.value)
        return model.model_validate(_without_nulls(content) if b"null" in message.value else content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "value"
        raise InvalidMessage("invalid_payload", f"{where}: {first['msg']}") from error
    except ValueError as error:
        raise InvalidMessage("invalid_json", f"value: {error}") from error


def _without_nulls(content: Any) -> Any:
    """Return JSON content without the fields that are null, at any depth; a parser has bounded how deep it is."""
    if isinstance(content, dict):
        return {name: _without_nulls(field) for name, field in content.items() if field is not None}
    return [_without_nulls(item) for item in content] if isinstance(content, list) else content
