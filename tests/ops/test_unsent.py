"""`fc outbox` on the running stack: waiting events are listed, and published at once on request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from fc.demo.shop import poll
from fc.ops import connections
from fc.platform.sources import Sources
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus
from tests.ops.conftest import Run, lines

PARK = """
INSERT INTO outbox (event_id, topic, key, payload, attempts, next_attempt_at, parked_at, last_error)
VALUES ($1, 'stock.rollback', $2, $3::jsonb, 12, now() + interval '1 hour', now(), 'KafkaTimeoutError: ')
RETURNING id
"""


@pytest.fixture
async def database(sources: Sources) -> AsyncIterator[asyncpg.Connection]:
    """orderfc's database."""
    async with connections.database("orderfc", sources.databases["orderfc"]) as opened:
        yield opened


@asynccontextmanager
async def parked(database: asyncpg.Connection, order: int) -> AsyncIterator[int]:
    """Postpone an event by an hour and return the id of its row."""
    body = f'{{"order_id": {order}, "products": [], "event_time": "2026-01-01T00:00:00Z"}}'
    row_id = await database.fetchval(PARK, uuid4(), f"order-{order}", body)
    try:
        yield row_id
    finally:
        await database.execute("DELETE FROM outbox WHERE id = $1", row_id)


async def test_a_parked_event_is_listed_with_its_last_error(
    database: asyncpg.Connection, back_office: BackOffice, fc: Run
) -> None:
    order = back_office.foreign_order_id()
    async with parked(database, order) as row_id:
        rows = lines(await fc("outbox", "ls", "--service", "orderfc", "--json"))
        [row] = [row for row in rows if row["id"] == row_id]
        assert (row["state"], row["attempts"], row["key"]) == ("parked", 12, f"order-{order}")
        assert row["last_error"].startswith("KafkaTimeoutError")
        assert lines(await fc("outbox", "ls", "--service", "productfc", "--json")) == []


async def test_a_dry_run_leaves_a_parked_event_where_it_is(
    database: asyncpg.Connection, back_office: BackOffice, fc: Run
) -> None:
    async with parked(database, back_office.foreign_order_id()) as row_id:
        assert (await fc("outbox", "retry", "--service", "orderfc", "--id", str(row_id))).exit_code == 0
        assert await database.fetchval("SELECT next_attempt_at > now() FROM outbox WHERE id = $1", row_id)


async def test_a_parked_event_is_sent_at_once_and_only_the_one_that_was_named(
    database: asyncpg.Connection, back_office: BackOffice, bus: Bus, fc: Run
) -> None:
    order, other = back_office.foreign_order_id(), back_office.foreign_order_id()
    async with parked(database, order) as row_id, parked(database, other) as left:
        assert (await fc("outbox", "retry", "--service", "orderfc", "--id", str(row_id), "--yes")).exit_code == 0

        async def published() -> bool:
            return bool(await database.fetchval("SELECT published_at IS NOT NULL FROM outbox WHERE id = $1", row_id))

        await poll(published, "the parked event is published")
        assert [event.topic for event in await bus.events_of(order)] == ["stock.rollback"]
        assert await database.fetchval("SELECT published_at IS NULL FROM outbox WHERE id = $1", left)


async def test_a_service_without_an_outbox_and_a_row_that_does_not_wait_are_refused(fc: Run) -> None:
    refused = await fc("outbox", "retry", "--service", "userfc", "--all")
    assert "userfc has no outbox" in str(refused.exception)
    refused = await fc("outbox", "retry", "--service", "orderfc", "--id", "999999999")
    assert "neither is parked nor backs off" in str(refused.exception)
