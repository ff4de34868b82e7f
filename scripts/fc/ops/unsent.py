"""The unpublished rows of the outboxes, and the statement that makes them due now."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Row:
    """An event that is committed and not acknowledged by Kafka; `seen_at` is the database's clock when it was read."""

    service: str
    id: int
    event_id: str
    topic: str
    key: str
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    parked_at: datetime | None
    last_error: str | None
    seen_at: datetime

    @property
    def state(self) -> str:
        """`new`, `due` (after a failure), `backing off` or `parked`."""
        if self.parked_at:
            return "parked"
        if self.next_attempt_at and self.next_attempt_at > self.seen_at:
            return "backing off"
        return "due" if self.attempts else "new"

    def as_json(self) -> dict[str, Any]:
        age = (self.seen_at - self.created_at).total_seconds()
        return asdict(self) | {"state": self.state, "age_s": round(age, 3)}


def publisher(name: str) -> str:
    """Check a service's name. Raises StackError."""
    if name not in PUBLISHERS:
        raise StackError(f"{name} has no outbox; the services with one are {', '.join(PUBLISHERS)}")
    return name


async def find(sources: Sources, services: Sequence[str] = PUBLISHERS) -> list[Row]:
    """Read the unpublished rows, by service and id. Raises StackError."""
    by_service = await asyncio.gather(*(_read(sources, service) for service in services))
    return [row for rows in by_service for row in rows]


async def _read(sources: Sources, service: str) -> list[Row]:
    async with database(service, sources.databases[service]) as connection:
        return [_row(service, record) for record in await connection.fetch(_LIST)]


async def retry(sources: Sources, service: str, row_id: int | None, *, dry: bool) -> list[Row]:
    """Make one parked or backing-off row due now, or all (None), and return them; with `dry` change nothing.

    A parked row stays marked as parked until it is published. The relay finds it within 4 s. Raises StackError.
    """
    async with database(service, sources.databases[service]) as connection, connection.transaction():
        rows = [_row(service, record) for record in await connection.fetch(_WAITING, row_id)]
        if not dry:
            changed = await connection.fetch(_DUE_NOW, [row.id for row in rows])
            if service == "paymentfc":
                await connection.execute(_NOTE_RETRY, [record["event_id"] for record in changed])
        return rows


def _row(service: str, record: Any) -> Row:
    return Row(service, **{**record, "event_id": str(record["event_id"])})
