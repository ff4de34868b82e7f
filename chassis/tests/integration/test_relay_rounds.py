"""One read of the relay that takes several rounds of sends: its bounds, and what is marked when."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from chassis.db import outbox_queue
from chassis.kafka import in_flight, sends
from chassis.kafka import relay as relay_module
from chassis.kafka.producer import Place, Record
from testkit import eventually

from .relay_bench import AWAY, Bench, FlakyProducer, fresh_bench

BOUND = 3_000
_FILL = """
INSERT INTO outbox (event_id, topic, key, payload)
SELECT gen_random_uuid(), 'topic', 'k', to_jsonb(n || repeat(' ', $2)) FROM generate_series(1, $1::int) AS n
"""


@pytest.fixture
async def bench(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Bench]:
    """Give a bench on a database of its own."""
    async with fresh_bench(make_database) as opened:
        opened.producer.batches = True
        yield opened


@pytest.mark.parametrize(
    ("padding", "read"), [(BOUND // 3, 3), (BOUND - 10, 2), (BOUND * 2, 1)], ids=["small", "large", "larger"]
)
async def test_a_read_ends_with_the_row_that_reaches_its_bytes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, padding: int, read: int
) -> None:
    monkeypatch.setattr(outbox_queue, "MAX_READ_BYTES", BOUND)
    # Or the larger ones would be compressed, and count as less.
    await bench.session.execute("ALTER TABLE outbox ALTER payload SET STORAGE EXTERNAL")
    await bench.session.execute(_FILL, 7, padding)
    due = await outbox_queue.due(bench.session, 100)
    assert ([row.id for row in due.rows], due.more) == (list(range(1, read + 1)), True)
    relay = bench.relay()
    while await relay.drain_once(bench.session):
        pass
    assert [value.strip('" ') for value in bench.producer.sent] == [str(number) for number in range(1, 8)]


async def test_a_read_within_its_bytes_says_that_nothing_more_is_due(bench: Bench) -> None:
    await bench.session.execute(_FILL, 7, 10)
    due = await outbox_queue.due(bench.session, 100)
    assert (len(due.rows), due.more) == (7, False)


class Rounds(FlakyProducer):
    """Calls `before` with the number of each batch, before it takes it."""

    def __init__(self, before: Callable[[int], Awaitable[None]]) -> None:
        super().__init__()
        self.batches = True
        self._before = before
        self._count = 0

    async def send_batch(self, topic: str, partition: int, records: Sequence[Record]) -> Place:
        self._count += 1
        await self._before(self._count)
        return await super().send_batch(topic, partition, records)


@pytest.fixture
def one_row_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch have room for one row, so that each row of a key takes a round."""
    monkeypatch.setattr(sends, "BATCH_BYTES", 300)


@pytest.mark.usefixtures("one_row_a_batch")
async def test_the_rows_of_a_round_are_marked_while_the_next_round_is_on_its_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "SLOW_SEND_S", 30)
    monkeypatch.setattr(in_flight, "MAX_WAIT_S", 30)

    async def marked() -> int:
        async with bench.db.driver() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NOT NULL"))

    async def before(batch: int) -> None:
        async def are_marked() -> bool:
            return await marked() == batch - 1

        await eventually(are_marked, 5)

    bench.producer = Rounds(before)
    await bench.publish("a1", "a2", "a3")
    await bench.relay().drain_once(bench.session)
    assert bench.producer.sent == ['"a1"', '"a2"', '"a3"']
    assert await marked() == 3


@pytest.mark.usefixtures("one_row_a_batch")
async def test_no_round_begins_after_the_time_of_a_read_and_the_next_read_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ROUNDS_S", 0.05)

    async def before(_batch: int) -> None:
        over = time.monotonic() + 0.1
        await eventually(lambda: time.monotonic() > over, 5)

    bench.producer = Rounds(before)
    await bench.publish("a1", "a2", "a3")
    relay = bench.relay()
    for sent in (1, 2, 3):
        more = await relay.drain_once(bench.session)
        assert (len(bench.producer.sent), more) == (sent, sent < 3)


@pytest.mark.usefixtures("one_row_a_batch")
async def test_a_round_that_fails_leaves_the_one_before_it_marked(bench: Bench) -> None:
    async def before(batch: int) -> None:
        if batch == 2:
            raise AWAY

    bench.producer = Rounds(before)
    await bench.publish("a1", "a2", "a3")
    relay = bench.relay()
    await relay.drain_once(bench.session)
    rows = [await bench.row(name) for name in ("a1", "a2", "a3")]
    assert [row["published_at"] is not None for row in rows] == [True, False, False]
    assert [row["attempts"] for row in rows] == [0, 1, 0]
    assert relay._results.broker_away


async def test_a_failure_in_a_round_that_was_acknowledged_in_part_backs_off(bench: Bench) -> None:
    """What the acknowledged part says of the broker comes first: it does not end the backoff of the failed one."""
    bench.producer.errors["b"] = AWAY
    await bench.publish("b1", "a1", "c1")
    relay = bench.relay()
    await relay.drain_once(bench.session)
    assert sorted(bench.producer.sent) == ['"a1"', '"c1"']
    assert relay._results.broker_away
    failed = await bench.row("b1")
    assert failed["attempts"] == 1
    assert failed["wait_s"] > 0
