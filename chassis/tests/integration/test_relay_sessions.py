"""The relay whose session ends, or whose transactions the database refuses: it goes on, and sends nothing twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from chassis.db.outbox_queue import OutboxRow
from chassis.kafka.relay import Relay
from testkit import eventually

from .relay_bench import Bench, fresh_bench


@pytest.fixture
async def bench(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Bench]:
    """Give a bench on a database of its own."""
    async with fresh_bench(make_database) as opened:
        yield opened


async def test_a_relay_whose_transaction_is_ended_by_a_deadlock_goes_on(bench: Bench) -> None:
    await bench.session.execute("CREATE TABLE notes (n int)")
    entered = 0

    async def note(session: asyncpg.Connection, _: Sequence[OutboxRow]) -> None:
        nonlocal entered
        entered += 1
        await session.execute("INSERT INTO notes VALUES (1)")

    stop, relay = asyncio.Event(), Relay(bench.settings, bench.db, bench.producer, on_published=note)
    await bench.publish("a1")
    other = await bench.db.dedicated()
    # A migration takes the two tables in the other order.
    async with other.transaction():
        await other.execute("LOCK TABLE notes")
        running = asyncio.create_task(relay.run(stop))
        await eventually(lambda: entered)
        await other.execute("UPDATE outbox SET headers = headers")
    await other.close()
    await eventually(lambda: running.done() or entered == 2)
    assert not running.done()
    stop.set()
    await running
    assert (await bench.row("a1"))["published_at"] is not None


def has_sent(bench: Bench, count: int) -> bool:
    return len(bench.producer.sent) == count


END_OF_RELAY = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def test_a_relay_that_has_lost_many_sessions_in_its_life_is_back_as_soon_as_after_the_first(bench: Bench) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(bench.relay().run(stop))
    for number in range(7):
        await bench.publish(f"{number}1")
        await eventually(partial(has_sent, bench, number + 1), 3)
        await eventually(lambda: bench.session.fetch(END_OF_RELAY))
    stop.set()
    await running


FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE UPDATE ON outbox FOR EACH ROW EXECUTE FUNCTION full_disk()
"""


async def test_what_a_full_database_can_not_mark_is_sent_once_and_marked_when_there_is_room(bench: Bench) -> None:
    await bench.session.execute(FULL)
    stop, relay = asyncio.Event(), bench.relay()
    await bench.publish("a1", "a2", "b1")
    with capture_logs() as logs:
        running = asyncio.create_task(relay.run(stop))
        try:
            await eventually(lambda: [each["event"] for each in logs].count("relay is active") >= 4, 20)
            # The second round was on its way when the marks of the first failed.
            assert bench.producer.sent == ['"a1"', '"b1"', '"a2"']
        finally:
            await bench.session.execute("DROP FUNCTION full_disk CASCADE")

    async def all_marked() -> bool:
        return bool(await bench.session.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL") == 0)

    await eventually(all_marked)
    stop.set()
    await running
    assert bench.producer.sent == ['"a1"', '"b1"', '"a2"']
    assert [(await bench.row(name))["published_at"] is None for name in ("a1", "a2", "b1")] == [False] * 3


async def test_of_two_relays_one_says_that_it_is_active_and_after_its_end_the_other_one(bench: Bench) -> None:
    relays, stops = [bench.relay(), bench.relay()], [asyncio.Event(), asyncio.Event()]
    assert [relay.standing.active_since for relay in relays] == [None, None]
    tasks = [asyncio.create_task(relay.run(stop)) for relay, stop in zip(relays, stops, strict=True)]
    await eventually(lambda: any(relay.standing.active_since for relay in relays))
    first = next(place for place, relay in enumerate(relays) if relay.standing.active_since)
    assert relays[1 - first].standing.active_since is None
    stops[first].set()
    await eventually(lambda: relays[1 - first].standing.active_since)
    assert relays[first].standing.active_since is None
    stops[1 - first].set()
    await asyncio.gather(*tasks)
