"""The events of one order, merged from outboxes, topics and inboxes: one of each id, with each hop it must take."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from console.model.facts import Facts, Json, Record
from console.model.saga import CONSUMERS, PRODUCERS, TOPIC_RETENTION, expected


@dataclass(frozen=True, slots=True)
class Hop:
    """A consumer of the contract, and when it has applied the event; None when it has not or that is not known."""

    consumer: str
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One event. `state` is `published`, `pending`, `parked`, `missing` (no source has it), `gone` or `unknown`.

    `places` are `partition:offset`, several after a replay; `letters` are the dead letters about it.
    """

    topic: str
    event_id: str
    state: str
    committed_at: datetime | None
    published_at: datetime | None
    places: tuple[str, ...] = ()
    error: str | None = None
    letters: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()

    @property
    def is_hollow(self) -> bool:
        return self.state != "published" or any(hop.applied_at is None for hop in self.hops)


def events_of(facts: Facts) -> list[OrderEvent]:
    """Return the events of an order, by topic and id, with those that must exist and are nowhere."""
    found = {(row["topic"], row["event_id"]): _unsent(row) for row in facts.unsent}
    for topic, event_id in sorted({(record.topic, record.event_id) for record in facts.records}):
        about = [record for record in facts.records if (record.topic, record.event_id) == (topic, event_id)]
        found[topic, event_id] = _published(about, facts)
    topics = {topic for topic, _ in found}
    for topic in expected(facts.order, facts.payment, [dict(row) for row in facts.stock]):
        if topic not in topics:
            found[topic, ""] = _absent(topic, facts)
    return [found[key] for key in sorted(found)]


def _unsent(row: Json) -> OrderEvent:
    error = f"{row['attempts']} tries: {row['last_error']}" if row["last_error"] else None
    committed = datetime.fromisoformat(row["created_at"])
    hops = tuple(Hop(consumer, None) for consumer in CONSUMERS.get(row["topic"], ()))
    return OrderEvent(row["topic"], row["event_id"], row["state"], committed, None, error=error, hops=hops)


def _published(about: Iterable[Record], facts: Facts) -> OrderEvent:
    """Merge the records of one event: the first is the publication, others are replays or dead letters."""
    ordered = sorted(
        about, key=lambda record: (record.published_at, record.partition, record.offset, record.reason or "")
    )
    sent = [record for record in ordered if record.reason is None]
    letters = [record for record in ordered if record.reason is not None]
    first = (sent or letters)[0]
    committed = [record.committed_at for record in ordered if record.committed_at is not None]
    identities = sorted({record.identity for record in ordered})
    hops = []
    for consumer in CONSUMERS.get(first.topic, ()):
        times = [facts.applied[consumer, each] for each in identities if (consumer, each) in facts.applied]
        hops.append(Hop(consumer, min(times, default=None)))
    event = OrderEvent(first.topic, first.event_id, "published", min(committed, default=None), first.published_at)
    return replace(
        event,
        places=tuple(record.place for record in sent),
        letters=tuple(f"{record.topic}.dlq {record.place} {record.reason}: {record.error}" for record in letters),
        hops=tuple(hops),
    )


def _absent(topic: str, facts: Facts) -> OrderEvent:
    state = "unknown" if {"kafka", PRODUCERS[topic]} & facts.unread.keys() else "missing"
    if facts.order is not None and facts.now - datetime.fromisoformat(facts.order["created_at"]) > TOPIC_RETENTION:
        state = "gone"
    hops = () if state == "gone" else tuple(Hop(consumer, None) for consumer in CONSUMERS[topic])
    return OrderEvent(topic, "", state, None, None, hops=hops)
