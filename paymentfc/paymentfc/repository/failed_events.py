"""The rows of failed_events: what could not be published in the configured tries, for a person to see and retry."""

from collections.abc import Sequence

import asyncpg

from chassis.relay import OutboxRow

_ADD = """
INSERT INTO failed_events (event_id, topic, key, payload, error, attempts)
VALUES ($1, $2, $3, $4::jsonb, $5, $6)
ON CONFLICT (event_id) DO UPDATE SET error = excluded.error, attempts = excluded.attempts
"""


async def add_parked(connection: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
    """Relay hook: record parked events, in the transaction that parks them; the outbox row stays and is tried on."""
    for row in rows:
        await connection.execute(_ADD, row.event_id, row.topic, row.key, row.payload, row.error, row.attempts)
