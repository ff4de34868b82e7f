"""The relay on a large outbox: the cost of a poll, the end of an outage, the lock of a frozen relay, the gauges."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from chassis.db import backlog, outbox_queue
from testkit import eventually

from .relay_bench import AWAY, Bench, fresh_bench

MANY = 300_000
_FILL = """
INSERT INTO outbox (event_id, topic, key, payload, attempts, next_attempt_at, parked_at, published_at)
SELECT gen_random_uuid(), $1, {key}, to_jsonb(n), {attempts}, {next}, {parked}, {published}
FROM generate_series(1, $2::int) AS n
"""
_BACKING_OFF = {
    "key": "'k' || n",
    "attempts": "1",
    "next": "now() + interval '1 hour'",
    "parked": "NULL",
    "published": "NULL",
}


@pytest.fixture
async def bench(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Bench]:
    """Give a bench on a database of its own."""
    async with fresh_bench(make_database) as opened:
        yield opened


async def fill(bench: Bench, count: int = MANY, *, topic: str = "waiting", **expressions: str) -> None:
    """Insert rows, numbered n, with SQL expressions for key, attempts, next attempt and times."""
    sql = _FILL.format(**(_BACKING_OFF | expressions))
    await bench.session.execute("SET statement_timeout = '60s'")
    await bench.session.execute(sql, topic, count, timeout=60)
    await bench.session.execute("SET statement_timeout = '5s'")


async def poll_s(bench: Bench) -> float:
    """Give the time of the fastest of some polls, after those that put off what is blocked."""
    relay = bench.relay()
    while await relay.drain_once(bench.session):
        pass
    times = []
    for _ in range(9):
        began = time.monotonic()
        await relay.drain_once(bench.session)
        times.append(time.monotonic() - began)
    return min(times)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param({}, id="each key backs off"),
        pytest.param({"parked": "now()"}, id="each event is parked"),
        pytest.param({"published": "now()", "next": "NULL"}, id="each event is published"),
        pytest.param(
            {"key": "'hot'", "next": "CASE WHEN n = 1 THEN now() + interval '1 hour' END", "count": 20_000},
            id="fresh events of one key behind one that backs off",
        ),
    ],
)
async def test_a_poll_takes_no_time_for_events_that_wait(bench: Bench, rows: dict[str, Any]) -> None:
    await fill(bench, **rows)
    assert await poll_s(bench) < 0.05
    assert bench.producer.sent == []
    await bench.publish("b1")
    await bench.relay().drain_once(bench.session)
    assert bench.producer.sent == ['"b1"']


async def test_a_mark_reads_the_rows_that_it_marks_and_not_all_that_wait(bench: Bench) -> None:
    await fill(bench, 20_000, attempts="0", next="NULL")
    await outbox_queue.prepare(bench.session)
    plan = await bench.session.fetch(f"EXPLAIN {outbox_queue._MARK_PUBLISHED}", list(range(1, 2001)))
    text = "\n".join(line[0] for line in plan)
    assert "pk_outbox" in text, text
    assert "ix_outbox" not in text, text


async def test_a_topic_whose_sends_hang_costs_a_poll_nothing(bench: Bench) -> None:
    await fill(bench, next="NULL")
    times = []
    for _ in range(9):
        began = time.monotonic()
        due = await outbox_queue.due(bench.session, 500, [], ["waiting"])
        times.append(time.monotonic() - began)
        assert due == outbox_queue.Due([], more=False)
    assert min(times) < 0.05


async def test_events_put_off_behind_another_are_sent_after_it_in_their_order(bench: Bench) -> None:
    bench.producer.errors["a"] = AWAY
    await bench.publish("a1")
    await bench.relay().drain_once(bench.session)
    bench.producer.errors.clear()
    await bench.publish("a2", "a3")
    await bench.relay().drain_once(bench.session)
    await bench.publish("a4")
    assert (await bench.row("a3"))["next_attempt_at"] == (await bench.row("a1"))["next_attempt_at"]
    assert (await bench.row("a3"))["attempts"] == 0

    async def all_sent() -> bool:
        await bench.relay().drain_once(bench.session)
        return len(bench.producer.sent) == 4

    await eventually(all_sent)
    assert bench.producer.sent == ['"a1"', '"a2"', '"a3"', '"a4"']


async def test_an_event_does_not_overtake_an_earlier_one_of_its_key_that_the_batch_has_no_room_for(
    bench: Bench,
) -> None:
    await fill(bench, 6, topic="topic", key="CASE WHEN n = 1 THEN 'x' ELSE 'y' || n END", next="now()")
    first = await bench.session.fetchval("SELECT min(id) FROM outbox")
    await bench.session.execute(
        "UPDATE outbox SET next_attempt_at = now() - (id * interval '1 s') WHERE id > $1", first
    )
    await bench.publish("x2")
    due = await outbox_queue.due(bench.session, 3)
    assert [row.payload for row in due.rows if row.key == "x"] in ([], ["1"])
    assert due.more


async def test_the_end_of_an_outage_frees_300_000_events_in_batches(bench: Bench) -> None:
    await fill(bench)
    relay = bench.relay()
    bench.producer.errors["b"] = AWAY
    await bench.publish("b1")
    await relay.drain_once(bench.session)
    bench.producer.errors.clear()
    await bench.publish("c1")
    began = time.monotonic()
    while len(bench.producer.sent) < 2_000:
        assert await relay.drain_once(bench.session)
    assert time.monotonic() - began < 30, "none of the statements took as long as the time limit allows"
    last: outbox_queue.Place | None = outbox_queue.FIRST_PLACE
    while last is not None:
        last = await outbox_queue.retry_now(bench.session, last, ["other"])
    assert await bench.session.fetchval("SELECT count(*) FROM outbox WHERE next_attempt_at > now()") == 0


async def test_a_relay_that_is_frozen_loses_its_lock_to_one_that_runs(bench: Bench) -> None:
    frozen = await bench.db.dedicated(idle_s=1)
    assert await outbox_queue.try_lock(frozen)
    stop = asyncio.Event()
    running = asyncio.create_task(bench.relay().run(stop))
    await bench.publish("a1")
    await eventually(lambda: bench.producer.sent == ['"a1"'], 10)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await frozen.fetchval("SELECT 1")
    stop.set()
    await running


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(name)


async def test_the_backlog_is_reported_while_the_relay_waits_for_the_lock_of_another(bench: Bench) -> None:
    await fill(bench, 40_000, next="NULL")
    await fill(bench, 500)
    await fill(bench, 3, parked="now()")
    other = await bench.db.dedicated()
    assert await outbox_queue.try_lock(other)
    stop = asyncio.Event()
    running = [asyncio.create_task(task.run(stop)) for task in (bench.relay(), backlog.loop(bench.db))]
    try:
        counted = 3 * backlog.REPORT_S
        await eventually(
            lambda: gauge("gocommerce_outbox_pending") == 40_500 and gauge("gocommerce_outbox_parked") == 3, counted
        )
        await bench.session.execute("UPDATE outbox SET published_at = now()")
        await eventually(
            lambda: gauge("gocommerce_outbox_pending") == 0 and gauge("gocommerce_outbox_parked") == 0, counted
        )
    finally:
        stop.set()
        await asyncio.gather(*running)
        await other.close()


async def test_a_count_of_many_events_ends_at_its_limit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.db.outbox.COUNT_LIMIT", 10)
    await fill(bench, 30)
    await fill(bench, 30, parked="now()")
    await backlog.report(bench.db)
    assert (gauge("gocommerce_outbox_pending"), gauge("gocommerce_outbox_parked")) == (10, 10)
