"""The unpublished rows of the outboxes, read from the databases, and the statement that makes them due now."""

import asyncio
from collections.abc import Sequence
from typing import Any

from console.model.unsent import UnsentEvent
from fc.ops.connections import database
from fc.platform.sources import Sources
from fc.platform.topics import PUBLISHERS
from fc.stack.errors import StackError

_COLUMNS = "id, event_id, topic, key, created_at, attempts, next_attempt_at, parked_at, last_error, now() AS seen_at"
_LIST = f"SELECT {_COLUMNS} FROM outbox WHERE published_at IS NULL ORDER BY id"
_WAITING = f"""
SELECT {_COLUMNS} FROM outbox
WHERE published_at IS NULL AND next_attempt_at > now() AND ($1::bigint IS NULL OR id = $1) ORDER BY id
"""
_DUE_NOW = """
UPDATE outbox SET next_attempt_at = now()
WHERE published_at IS NULL AND next_attempt_at > now() AND id = ANY($1::bigint[]) RETURNING event_id
"""
# paymentfc lists parked events, with the time of the last retry by an operator.
_NOTE_RETRY = "UPDATE failed_events SET retried_at = now() WHERE event_id = ANY($1::uuid[])"


def publisher(name: str) -> str:
    """Check a service's name. Raises StackError."""
    if name not in PUBLISHERS:
        raise StackError(f"{name} has no outbox; the services with one are {', '.join(PUBLISHERS)}")
    return name


async def find(sources: Sources, services: Sequence[str] = PUBLISHERS) -> list[UnsentEvent]:
    """Read the unpublished rows, by service and id. Raises StackError."""
    by_service = await asyncio.gather(*(_read(sources, service) for service in services))
    return [event for events in by_service for event in events]


async def _read(sources: Sources, service: str) -> list[UnsentEvent]:
    async with database(service, sources.databases[service]) as connection:
        return [_event(service, record) for record in await connection.fetch(_LIST)]


async def retry(sources: Sources, service: str, row_id: int | None, *, dry: bool) -> list[UnsentEvent]:
    """Make one parked or backing-off row due now, or all (None), and return them; with `dry` change nothing.

    A parked row stays marked as parked until it is published. The relay finds it within 4 s. Raises StackError.
    """
    async with database(service, sources.databases[service]) as connection, connection.transaction():
        events = [_event(service, record) for record in await connection.fetch(_WAITING, row_id)]
        if not dry:
            changed = await connection.fetch(_DUE_NOW, [event.id for event in events])
            if service == "paymentfc":
                await connection.execute(_NOTE_RETRY, [record["event_id"] for record in changed])
        return events


def _event(service: str, record: Any) -> UnsentEvent:
    return UnsentEvent(service, **{**record, "event_id": str(record["event_id"])})
