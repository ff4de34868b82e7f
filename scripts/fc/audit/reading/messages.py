"""Faults of the topics themselves: messages without a commit, of strangers, dead, or not consumed."""

from collections.abc import AsyncIterator, Mapping

import asyncpg

from fc.audit.reading.broker import Scan
from fc.audit.reading.queries import CONSUMED, IN_OUTBOX
from fc.audit.reading.spill import Letter, Sighting, Spill
from fc.audit.rules.rule import Context, Fault
from fc.platform.snapshot import Snapshot
from fc.platform.topics import CONSUMERS, PUBLISHER

Found = tuple[str, Fault, int | None]


async def message_faults(
    spill: Spill, scan: Scan, context: Context, snapshot: Snapshot, databases: Mapping[str, asyncpg.Connection]
) -> AsyncIterator[Found]:
    """Give (rule, fault, order id or None). `databases` must see all that was committed before the topics were read."""
    for topic, service in PUBLISHER.items():
        async for found in _ghosts(spill, context, topic, databases[service]):
            yield found
        for found in _foreign(spill, topic):
            yield found
    async for found in _letters(spill, snapshot):
        yield found
    for (group, topic, partition), (count, oldest) in sorted(scan.waiting.items()):
        if count > 0 and oldest < context.now - context.stuck:
            subject = f"group {group} on {topic}[{partition}]"
            yield "consumer_stuck", Fault("consumed", f"{count} messages wait", oldest, subject), None


def _place(seen: Sighting) -> str:
    return f"{seen.topic}[{seen.partition}]@{seen.offset}"


async def _ghosts(spill: Spill, context: Context, topic: str, owner: asyncpg.Connection) -> AsyncIterator[Found]:
    """Find messages that no committed outbox row explains, as far as the outbox goes back."""
    for batch in spill.messages(topic, own=True):
        rows = await owner.fetch(IN_OUTBOX, [seen.event_id for seen in batch])
        there = {row[0] for row in rows}
        for seen in batch:
            if seen.event_id not in there and context.still_in_outbox(seen.time):
                fault = Fault(
                    f"a row in the outbox of {PUBLISHER[topic]}", f"event {seen.event_id}", seen.time, _place(seen)
                )
                yield "event_ghost", fault, seen.order_id


def _foreign(spill: Spill, topic: str) -> list[Found]:
    """Sum up per topic what did not come from a service of this platform."""
    count, first = 0, None
    for batch in spill.messages(topic, own=False):
        count += len(batch)
        first = min([*batch, *([first] if first else [])], key=lambda seen: seen.time)
    if first is None:
        return []
    fault = Fault(
        "messages of the services", f"{count} others, the first at {_place(first)}", first.time, f"topic {topic}"
    )
    return [("event_foreign", fault, None)]


async def _letters(spill: Spill, snapshot: Snapshot) -> AsyncIterator[Found]:
    """List dead letters, except those that were sent again and applied since."""
    for batch in spill.letters():
        applied: set[tuple[str, object]] = set()
        for service in {service for services in CONSUMERS.values() for service in services}:
            event_ids = [letter.event_id for letter in batch if letter.service == service]
            if event_ids:
                rows = await snapshot.fetch(service, CONSUMED, service, event_ids)
                applied |= {(service, row[0]) for row in rows}
        for letter in batch:
            if (letter.service, letter.event_id) not in applied:
                yield "dead_letter", _letter_fault(letter), letter.order_id


def _letter_fault(letter: Letter) -> Fault:
    found = f"{letter.reason}: {letter.error}" if letter.error else letter.reason
    return Fault(f"applied by {letter.service or 'its consumer'}", found, letter.time, letter.place)
