"""Faults of the topics themselves: messages without a commit, from other systems, dead, or not consumed."""

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

import asyncpg

from fc.audit.reading.broker import Scan
from fc.audit.reading.queries import IN_OUTBOX
from fc.audit.reading.spill import Letter, Sighting, Spill
from fc.audit.rules.rule import Context, Fault
from fc.platform.snapshot import Snapshot
from fc.platform.topics import GROUPS, PRODUCERS, is_uuid

MessageFault = tuple[str, Fault, int | None]
"""(rule, fault, order id or None)"""


async def message_faults(
    spill: Spill, scan: Scan, context: Context, snapshot: Snapshot, databases: Mapping[str, asyncpg.Connection]
) -> AsyncIterator[MessageFault]:
    """Find all faults. `databases` must see everything that was committed before the topics were read."""
    for topic, service in PRODUCERS.items():
        async for fault in _ghosts(spill, context, topic, databases[service]):
            yield fault
        for fault in _foreign(spill, topic):
            yield fault
    async for fault in _letters(spill, snapshot):
        yield fault
    for gap in scan.unreadable:
        yield "event_unreadable", Fault("records", gap.cause, gap.time, gap.place), None
    for (group, topic, partition), (count, oldest) in sorted(scan.waiting.items()):
        if count > 0 and oldest < snapshot.machine_now - context.stuck:
            subject = f"group {group} on {topic}[{partition}]"
            yield "consumer_stuck", Fault("consumed", f"{count} messages wait", oldest, subject), None


def _place(seen: Sighting) -> str:
    return f"{seen.topic}[{seen.partition}]@{seen.offset}"


async def _ghosts(spill: Spill, context: Context, topic: str, owner: asyncpg.Connection) -> AsyncIterator[MessageFault]:
    """Find messages without a committed outbox row, as far back as outboxes keep their rows."""
    for batch in spill.messages(topic, own=True):
        rows = await owner.fetch(IN_OUTBOX, [seen.event_id for seen in batch if is_uuid(seen.event_id)])
        committed = {str(row[0]) for row in rows}
        for seen in batch:
            if seen.event_id not in committed and context.still_in_outbox(seen.time):
                expected = f"a row in the outbox of {PRODUCERS[topic]}"
                fault = Fault(expected, f"event {seen.event_id}", seen.time, _place(seen))
                yield "event_ghost", fault, seen.order_id


def _foreign(spill: Spill, topic: str) -> list[MessageFault]:
    """Sum up per topic the messages that did not come from a service of this platform."""
    count, first = 0, None
    for batch in spill.messages(topic, own=False):
        count += len(batch)
        first = min([*batch, *([first] if first else [])], key=lambda seen: seen.time)
    if first is None:
        return []
    actual = f"{count} others, the first at {_place(first)}"
    return [("event_foreign", Fault("messages of the services", actual, first.time, f"topic {topic}"), None)]


async def _letters(spill: Spill, snapshot: Snapshot) -> AsyncIterator[MessageFault]:
    """List dead letters, except those that were replayed and applied since."""
    for batch in spill.letters():
        applied: set[tuple[str, UUID]] = set()
        for service in GROUPS:
            events = {letter.identity: letter.event_id for letter in batch if letter.service == service}
            applied |= {(service, identity) for identity in await snapshot.applied(service, events)}
        for letter in batch:
            if (letter.service, letter.identity) not in applied:
                yield "dead_letter", _letter_fault(letter), letter.order_id


def _letter_fault(letter: Letter) -> Fault:
    reason = f"{letter.reason}: {letter.error}" if letter.error else letter.reason
    return Fault(f"applied by {letter.service or 'its consumer'}", reason, letter.time, letter.place)
