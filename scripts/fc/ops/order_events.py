"""The events of one order: in which outbox they were written, where they are in Kafka, and who has applied them."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis import clock
from chassis.events import Message
from chassis.kafka.topics import dlq
from console.model.letters import Letter
from contracts.topics import CONSUMERS, PRODUCERS
from fc.ops.kafka_records import KafkaRecords
from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import Snapshot
from fc.platform.sources import Sources
from fc.platform.topics import PUBLISHERS, event_identity, is_uuid, time_of
from fc.stack.errors import StackError

# The clocks of database and broker differ by less.
SLACK = timedelta(seconds=5)

_OUTBOX = """
SELECT event_id, topic, headers, created_at, published_at, parked_at, attempts, last_error FROM outbox
WHERE key = $1 AND (published_at IS NULL OR published_at >= $2) ORDER BY id
"""
_INBOX = "SELECT event_id, received_at FROM inbox WHERE consumer = $1 AND event_id = ANY($2::uuid[])"


@dataclass(slots=True)
class OrderEvent:
    """One event: `places` are `partition:offset`, more than one after a replay; `applied` has who applied it, when.

    `awaited` are the consumers that have not applied it, `letters` the dead letters about it.
    """

    topic: str
    event_id: str
    committed_at: datetime | None = None
    published_at: datetime | None = None
    places: list[str] = field(default_factory=list)
    state: str = "published"
    error: str | None = None
    trace_id: str | None = None
    linked_trace_id: str | None = None
    applied: dict[str, datetime] = field(default_factory=dict)
    awaited: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)

    def read_headers(self, headers: Mapping[str, str]) -> None:
        self.trace_id = self.trace_id or trace_in(headers.get("traceparent"))
        self.linked_trace_id = self.linked_trace_id or trace_in(headers.get("x-link-traceparent"))
        if self.committed_at is None:
            with suppress(ValueError):
                self.committed_at = datetime.fromisoformat(headers.get("ce_time", ""))

    def as_json(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__}
        values["applied"] = {service: time.isoformat() for service, time in self.applied.items()}
        return values | {name: value.isoformat() for name, value in values.items() if isinstance(value, datetime)}


@dataclass(slots=True)
class Found:
    """The events of an order, oldest first; `notes` say what could not be read."""

    events: list[OrderEvent]
    notes: list[str]


def trace_in(traceparent: str | None) -> str | None:
    """Return the trace id of a `traceparent`, or None if it has none."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 and parts[1] != "0" * 32 else None


async def find(sources: Sources, snapshot: Snapshot, key: str, since: datetime) -> Found:
    """Read the outboxes, the topics and the inboxes. Without Kafka the places of the events are missing."""
    events: dict[tuple[str, str], OrderEvent] = {}
    for service in PUBLISHERS:
        for row in await snapshot.fetch(service, _OUTBOX, key, since):
            event = events[row["topic"], str(row["event_id"])] = _written(row)
            event.read_headers(json.loads(row["headers"]))
    try:
        # Kafka's times are the machine's.
        notes = await _read_topics(sources, key, since - SLACK - timedelta(seconds=clock.ahead_s()), events)
    except (CouldNotCheck, StackError) as error:
        notes = [f"without Kafka: {error}"]
    await _read_inboxes(snapshot, events.values())
    return Found(sorted(events.values(), key=lambda event: event.committed_at or event.published_at or since), notes)


def _written(row: Any) -> OrderEvent:
    state = "published" if row["published_at"] else "parked" if row["parked_at"] else "in the outbox"
    event = OrderEvent(row["topic"], str(row["event_id"]), row["created_at"], row["published_at"], state=state)
    if state != "published" and row["last_error"]:
        event.error = f"{row['attempts']} tries: {row['last_error']}"
    return event


async def _read_topics(
    sources: Sources, key: str, since: datetime, events: dict[tuple[str, str], OrderEvent]
) -> list[str]:
    """Add what is on the topics; return what was not looked at."""
    notes = []
    async with KafkaRecords.opened(sources.kafka, **sources.kafka_client()) as topics:
        for topic in PRODUCERS:
            records, all_read = await topics.of_key(topic, key.encode(), since)
            for record in records:
                _add_record(topic, record, events)
            letters, all_letters = await topics.of_key(dlq(topic), key.encode(), since)
            for record in letters:
                _add_letter(Letter.of(record), events)
            if not (all_read and all_letters):
                notes.append(f"{topic} has more records since the order was placed than were looked at")
    return notes


def _add_record(topic: str, record: Any, events: dict[tuple[str, str], OrderEvent]) -> None:
    message = Message.received(
        topic, record.partition, record.offset, record.key, record.value, record.headers, record.timestamp
    )
    event = events.setdefault((topic, message.event_id), OrderEvent(topic, message.event_id))
    event.read_headers(message.headers)
    if not event.places:
        event.published_at = time_of(record)
    event.places.append(f"{record.partition}:{record.offset}")


def _add_letter(letter: Letter, events: dict[tuple[str, str], OrderEvent]) -> None:
    event = events.setdefault((letter.topic, letter.event_id), OrderEvent(letter.topic, letter.event_id))
    event.letters.append(f"{letter.place} {letter.reason}")


async def _read_inboxes(snapshot: Snapshot, events: Iterable[OrderEvent]) -> None:
    by_service: dict[str, dict[UUID, OrderEvent]] = {}
    for event in events:
        if not is_uuid(event.event_id):
            continue
        # Versions before identities have kept the event id as it was.
        own = UUID(event.event_id)
        for service in CONSUMERS[event.topic]:
            by_service.setdefault(service, {}).update({event_identity(event.topic, own): event, own: event})
    answers = await asyncio.gather(
        *(_received(snapshot, service, list(theirs)) for service, theirs in by_service.items())
    )
    for (service, theirs), rows in zip(by_service.items(), answers, strict=True):
        for row in rows:
            theirs[row["event_id"]].applied[service] = row["received_at"]
    for event in events:
        event.awaited = [service for service in CONSUMERS[event.topic] if service not in event.applied]


async def _received(snapshot: Snapshot, service: str, ids: Sequence[UUID]) -> list[Any]:
    return list(await snapshot.fetch(service, _INBOX, service, ids))
