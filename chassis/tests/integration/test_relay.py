"""The relay on a real database while sends fail: backoff, order within a key, parking, and what is told of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from structlog.testing import capture_logs

from chassis.config.settings import ServiceSettings
from chassis.db import outbox_queue
from chassis.db.database import Database
from chassis.db.schema import metadata_factory, outbox_table
from chassis.kafka.relay import BATCH
from testkit import eventually
from testkit.databases import create_tables

from .relay_bench import AWAY, MAX_TRIES, Bench


@pytest.fixture(scope="module")
async def settings(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> ServiceSettings:
    """Give settings of a service that has an outbox and nothing else."""
    made = ServiceSettings(**await make_database("chassis"), outbox_max_tries=MAX_TRIES)
    metadata = metadata_factory()
    outbox_table(metadata)
    await create_tables(made, metadata)
    return made


@pytest.fixture(params=[False, True], ids=["one by one", "in batches"])
async def bench(settings: ServiceSettings, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Give a bench with an empty outbox, before and after the partitions of its topic are known."""
    db = Database(settings)
    session = await db.dedicated()
    await session.execute("TRUNCATE outbox")
    await outbox_queue.prepare(session)
    opened = Bench(settings, db, session)
    opened.producer.batches = request.param
    yield opened
    await session.close()
    await db.close()


@pytest.mark.parametrize(
    ("failures", "least_s", "most_s"), [(0, 0, 1.2), (3, 5, 9.6), (4, 11, 19.2), (9, 22, 36), (5_000, 22, 36)]
)
async def test_a_failed_send_waits_twice_as_long_each_time_up_to_a_cap(
    bench: Bench, failures: int, least_s: float, most_s: float
) -> None:
    bench.settings = bench.settings.model_copy(update={"outbox_max_tries": 10_000})
    bench.producer.errors["a"] = AWAY
    await bench.publish("a1")
    await bench.change(f"attempts = {failures}")
    await bench.relay().drain_once(bench.session)
    row = await bench.row("a1")
    assert (row["attempts"], row["parked_at"], row["published_at"]) == (failures + 1, None, None)
    assert row["last_error"] == "OSError: the broker is away"
    assert least_s <= row["wait_s"] <= most_s


async def test_a_failed_event_holds_back_its_key_in_order_and_no_other_key(bench: Bench) -> None:
    bench.producer.errors["a"] = MessageSizeTooLargeError()
    await bench.publish("a1", "a2", "b1", "b2")
    relay = bench.relay()
    while await relay.drain_once(bench.session):
        pass
    assert bench.producer.sent == ['"b1"', '"b2"']
    bench.producer.errors.clear()
    await bench.publish("a3", "b3")
    await relay.drain_once(bench.session)
    assert bench.producer.sent == ['"b1"', '"b2"', '"b3"']
    assert (await bench.row("a2"))["attempts"] == 0
    await bench.make_due()
    await relay.drain_once(bench.session)
    assert bench.producer.sent[3:] == ['"a1"', '"a2"', '"a3"']
    assert await relay.drain_once(bench.session) is False


async def test_an_event_is_parked_after_the_configured_tries_and_its_key_goes_on(bench: Bench) -> None:
    relay = bench.relay()
    bench.producer.errors["a"] = MessageSizeTooLargeError()
    await bench.publish("a1")
    for tries in range(1, MAX_TRIES + 1):
        assert bench.told == []
        await bench.make_due()
        await relay.drain_once(bench.session)
        assert (await bench.row("a1"))["attempts"] == tries
    row = await bench.row("a1")
    assert row["parked_at"] is not None
    assert 270 <= row["wait_s"] <= 300
    assert [(told.event_id, told.attempts, told.error) for told in bench.told] == [
        (row["event_id"], MAX_TRIES, row["last_error"])
    ]
    bench.producer.errors.clear()
    await bench.publish("a2")
    await relay.drain_once(bench.session)
    assert bench.producer.sent == ['"a2"']


async def test_a_parked_event_is_tried_on_and_tells_its_last_error_each_time_but_is_logged_as_parked_once(
    bench: Bench,
) -> None:
    relay = bench.relay()
    bench.producer.errors["a"] = AWAY
    await bench.publish("a1")
    with capture_logs() as logs:
        for _ in range(MAX_TRIES + 2):
            await bench.make_due()
            await relay.drain_once(bench.session)
    row = await bench.row("a1")
    assert 270 <= row["wait_s"] <= 300
    assert [told.attempts for told in bench.told] == [MAX_TRIES, MAX_TRIES + 1, MAX_TRIES + 2]
    assert [entry["event"] for entry in logs].count("event parked") == 1
    bench.producer.errors.clear()
    await bench.make_due()
    await relay.drain_once(bench.session)
    assert bench.producer.sent == ['"a1"']
    assert (await bench.row("a1"))["published_at"] is not None


async def test_an_event_with_more_failures_than_a_lowered_limit_is_parked_and_told(bench: Bench) -> None:
    bench.producer.errors["a"] = AWAY
    await bench.publish("a1")
    await bench.change(f"attempts = {MAX_TRIES + 4}")
    await bench.relay().drain_once(bench.session)
    assert (await bench.row("a1"))["parked_at"] is not None
    assert [told.attempts for told in bench.told] == [MAX_TRIES + 5]


async def test_when_the_broker_is_back_what_waits_is_sent_at_once_also_what_is_parked(bench: Bench) -> None:
    relay = bench.relay()
    bench.producer.errors = dict.fromkeys("abc", AWAY)
    await bench.publish("a1", "b1", "c1")
    await bench.change(f"attempts = {MAX_TRIES}", "c1")
    await relay.drain_once(bench.session)
    bench.producer.errors.clear()
    assert await relay.drain_once(bench.session) is False
    await bench.change("next_attempt_at = now()", "b1")
    await relay.drain_once(bench.session)
    await relay.drain_once(bench.session)
    assert bench.producer.sent == ['"b1"', '"a1"', '"c1"']


async def test_an_event_that_is_wrong_in_itself_waits_out_its_backoff_while_others_are_sent(bench: Bench) -> None:
    relay = bench.relay()
    bench.producer.errors["a"] = MessageSizeTooLargeError()
    await bench.publish("a1")
    await relay.drain_once(bench.session)
    bench.producer.errors.clear()
    await bench.publish("b1")
    await relay.drain_once(bench.session)
    assert await relay.drain_once(bench.session) is False
    assert bench.producer.sent == ['"b1"']


async def test_a_relay_whose_sends_fail_runs_on_and_sends_when_the_broker_is_back(bench: Bench) -> None:
    bench.producer.errors["a"] = AWAY
    stop = asyncio.Event()
    running = asyncio.create_task(bench.relay().run(stop))
    await bench.publish("a1", "a2")

    async def failed() -> bool:
        return running.done() or (await bench.row("a1"))["attempts"] > 0

    await eventually(failed)
    assert not running.done()
    bench.producer.errors.clear()
    await eventually(lambda: bench.producer.sent == ['"a1"', '"a2"'])
    stop.set()
    await running


async def test_a_backlog_that_the_statistics_do_not_know_of_is_read_within_the_time_limit_of_statements(
    bench: Bench,
) -> None:
    add = """
    INSERT INTO outbox (event_id, topic, key, payload, published_at)
    SELECT gen_random_uuid(), 'topic', n, to_jsonb(n), CASE WHEN n <= 0 THEN now() END
    FROM generate_series($1::int, $2) AS n
    """
    await bench.session.execute(add, -1000, 0)
    await bench.session.execute("VACUUM ANALYZE outbox")
    for number in range(15):
        await bench.session.execute(add, number * 10_000 + 1, (number + 1) * 10_000)
    assert await bench.relay().drain_once(bench.session)
    assert sorted(map(int, bench.producer.sent)) == list(range(1, BATCH + 1))
