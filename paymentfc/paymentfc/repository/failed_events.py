"""The rows of `failed_events`: events not published in the configured tries, for an administrator to retry."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from chassis.db import outbox
from chassis.db.database import Database, Tx
from chassis.db.outbox_queue import OutboxRow
from paymentfc.repository import pages
from paymentfc.repository.pages import Page

_ADD = """
INSERT INTO failed_events (event_id, topic, key, payload, error, attempts)
VALUES ($1, $2, $3, $4::jsonb, $5, $6)
ON CONFLICT (event_id) DO UPDATE SET error = excluded.error, attempts = excluded.attempts
"""

_SHOWN = "id, event_id, topic, key, payload::text AS payload, error, attempts, retried_at, create_time"
_ONE = f"SELECT {_SHOWN} FROM failed_events WHERE id = $1"
_RETRIED = "UPDATE failed_events SET retried_at = now() WHERE event_id = ANY($1::uuid[])"


async def add_parked(connection: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
    """Relay hook: record parked events in the transaction that parks them; the relay goes on trying them."""
    for row in rows:
        await connection.execute(_ADD, row.event_id, row.topic, row.key, row.payload, row.error, row.attempts)


async def note_published(connection: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
    """Relay hook: set the time at which events that had failed before were published."""
    late = [row.event_id for row in rows if row.attempts]
    if late:
        await connection.execute(_RETRIED, late)


async def note_retried(tx: Tx, event_id: UUID) -> None:
    """Set the time of an administrator's retry, where the event is parked."""
    await tx.driver().execute(_RETRIED, [event_id])


async def page(db: Database, number: int, size: int) -> Page[dict[str, Any]]:
    return await pages.read(db, _SHOWN, "FROM failed_events", [], number, size)


async def retry(tx: Tx, row_id: int) -> dict[str, Any] | None:
    """Make an event due if it is not published yet, and return its row. Returns None for an unknown id."""
    driver = tx.driver()
    row = await driver.fetchrow(_ONE, row_id)
    if row and await outbox.retry_event(driver, row["event_id"]):
        await driver.execute(_RETRIED, [row["event_id"]])
        row = await driver.fetchrow(_ONE, row_id)
    return dict(row) if row else None
