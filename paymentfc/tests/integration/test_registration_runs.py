"""Orders that are registered in one transaction: any run has the result that its messages have one by one."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chassis.db.database import Database
from chassis.errors import InvalidMessage
from chassis.events import Message
from chassis.failpoint import FailpointError, arm
from chassis.message_scope import message_scope
from paymentfc.config import Settings
from paymentfc.events import ORDER_CREATED
from paymentfc.model.payment import external_id
from paymentfc.repository import payments
from testkit import eventually
from testkit.properties import Burst, Delivery, examples

from .bench import Bench
from .runs import ORDERS, TABLES, News, Stage, Step, callback, created, play
from .test_statement_races import WAITS

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture(scope="module")
async def shared(settings: Settings) -> AsyncIterator[Bench]:
    """One bench for all examples of this module."""
    db = Database(settings)
    yield Bench(settings, db)
    await db.close()


early = st.builds(News, st.sampled_from(ORDERS), early=st.sampled_from(["rejection", "PAID", "SETTLED", "EXPIRED"]))
twists = st.sampled_from([*[""] * 8, "bad", "borrowed", "borrowed"])
deliveries = st.lists(
    st.builds(Delivery, st.builds(News, st.sampled_from(ORDERS), twists), st.integers(0, 1)), min_size=1, max_size=8
)
runs = st.builds(Burst, deliveries.map(tuple), st.sampled_from([False] * 4 + [True]))


@examples(60)
@given(st.lists(st.tuples(st.lists(early, max_size=3), runs), min_size=1, max_size=4), st.booleans())
async def test_any_run_has_the_result_of_its_messages_one_by_one(
    shared: Bench, schedule: list[Step], confirm: bool
) -> None:
    results = []
    for together in (False, True):
        stage = Stage(shared.other(xendit_confirm_payments=confirm))
        await play(stage, schedule, together=together)
        results.append(await stage.result())
    assert results[0] == results[1]


async def nothing_of(bench: Bench, orders: list[int], run: list[Message]) -> None:
    """Check that no table has a row about these orders or messages."""
    keys = {"order_id": orders, "event_id": [message.identity for message in run]}
    texts = [external_id(order_id) for order_id in orders]
    for table, column in TABLES.items():
        if table not in ("payment_callbacks", "payment_anomalies", "rejected_orders"):
            sql = f"SELECT {column} FROM {table} WHERE {column} = ANY($1) AND $2"
            assert await bench.rows(sql, keys.get(column, texts), True) == [], table


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("poison", [b'{"order_id": ', b'{"order_id": 1, "user_id": 1, "total_amount": 0.5}'])
async def test_a_run_with_a_poison_message_at_any_place_does_nothing(
    bench: Bench, position: int, poison: bytes
) -> None:
    orders = [bench.new_id() for _ in range(4)]
    run = [created(order_id) for order_id in orders]
    run[position] = Message.received(ORDER_CREATED, 0, 1, b"order-1", poison)
    with pytest.raises(InvalidMessage):
        await bench.deliver_together(run)
    await nothing_of(bench, orders, run)
    assert not bench.wake.is_set()


PLANTED = {
    "the statement": "ALTER TABLE payments ADD CONSTRAINT planted CHECK (amount <> 3) NOT VALID",
    "the catch-up": "ALTER TABLE payment_confirmations ADD CONSTRAINT planted CHECK (invoice_id <> 'early') NOT VALID",
}


@pytest.mark.parametrize("place", PLANTED)
async def test_a_run_that_the_database_refuses_does_nothing_and_its_messages_can_still_come_one_by_one(
    bench: Bench, place: str
) -> None:
    orders = [bench.new_id() for _ in range(4)]
    run = [created(order_id, total_amount=3 if order_id == orders[2] else 150_000) for order_id in orders]
    await bench.receive(callback(orders[0], "EXPIRED"))
    await bench.receive(callback(orders[2], invoice_id="early", amount=3))
    audits = await bench.audits(orders[2])
    await bench.execute("DELETE FROM audit_outbox")
    await bench.execute(PLANTED[place])
    try:
        with pytest.raises(Exception, match="planted"):
            await bench.deliver_together(run)
        await nothing_of(bench, orders, run)
    finally:
        await bench.execute(f"ALTER TABLE {PLANTED[place].split()[2]} DROP CONSTRAINT planted")
    assert audits == ["payment.anomaly"]
    for message in run:
        await bench.handlers[ORDER_CREATED](message)
    assert [await bench.audits(order_id) for order_id in orders] == [["payment.created"]] * 4


@pytest.mark.parametrize(("point", "done"), [("db.before_commit", False), ("db.after_commit", True)])
async def test_a_run_is_applied_as_a_whole_or_not_at_all(bench: Bench, point: str, *, done: bool) -> None:
    orders = [bench.new_id() for _ in range(3)]
    run = [created(order_id) for order_id in orders]
    arm(f"{point}=raise")
    try:
        with pytest.raises(FailpointError):
            await bench.deliver_together(run)
    finally:
        arm("")
    if done:
        assert [await bench.audits(order_id) for order_id in orders] == [["payment.created"]] * 3
    else:
        await nothing_of(bench, orders, run)
    await bench.deliver_together([*run[::-1], *run])
    assert [await bench.audits(order_id) for order_id in orders] == [["payment.created"]] * 3


async def test_each_order_of_a_run_leaves_the_line_that_it_leaves_alone_in_its_own_trace(bench: Bench) -> None:
    orders = [bench.new_id() for _ in range(3)]
    sent = [created(order_id, trace=f"00-{number:032x}-{1:016x}-00") for number, order_id in enumerate(orders, start=1)]
    with capture_logs() as alone, message_scope(sent[0]):
        await bench.handlers[ORDER_CREATED](sent[0])
    with capture_logs() as lines:
        await bench.deliver_together([*sent, sent[1]])
    assert bench.wake.is_set()
    assert [(line["order_id"], line["event_id"], line["key"], line["trace_id"]) for line in [*alone, *lines]] == [
        (order_id, message.event_id, message.key, f"{number:032x}")
        for number, (order_id, message) in enumerate(zip(orders, sent, strict=True), start=1)
    ]
    names = {"event", "log_level", "logger", "topic", "event_id", "key", "offset", "order_id", "trace_id", "span_id"}
    assert [set(line) for line in [*alone, *lines]] == [names] * 3


async def test_two_runs_with_the_same_orders_in_opposite_order_do_not_deadlock(
    bench: Bench,
) -> None:
    """The middle one is held until both runs wait: locked as they come, each would then hold what the other wants."""
    orders = [bench.new_id() for _ in range(9)]

    async def waiters(number: int) -> bool:
        return len(await bench.rows(WAITS)) == number

    before = await bench.rows(DEADLOCKS)
    tasks = []
    async with bench.db.transaction() as tx:
        await payments.lock_unknown(tx, [external_id(orders[4])])
        for number, way in enumerate((orders, orders[::-1]), start=1):
            run = [created(order_id) for order_id in way]
            tasks.append(asyncio.ensure_future(bench.deliver_together(run)))
            await eventually(lambda number=number: waiters(number))
    await asyncio.gather(*tasks)
    assert [await bench.audits(order_id) for order_id in orders] == [["payment.created"]] * 9
    assert await bench.rows(DEADLOCKS) == before


async def test_runs_rejections_and_callbacks_at_the_same_time_share_orders_and_events_without_a_deadlock(
    bench: Bench,
) -> None:
    orders = [bench.new_id() for _ in range(40)]
    sent = [created(order_id) for order_id in [*orders, *orders]]
    before = await bench.rows(DEADLOCKS)
    gate = asyncio.Semaphore(6)

    async def deliver(number: int) -> None:
        async with gate:
            if number % 3:
                await bench.deliver_together(random.sample(sent, 30))
            else:
                for order_id in random.sample(orders, 8):
                    await bench.rejected(order_id)
                    await bench.receive(callback(order_id))

    await asyncio.gather(*(deliver(number) for number in range(18)))
    await bench.deliver_together(sent)
    assert [(await bench.audits(order_id)).count("payment.created") for order_id in orders] == [1] * 40
    waiting = "SELECT id FROM payment_callbacks WHERE outcome = 'waiting'"
    assert await bench.rows(waiting) == []
    assert await bench.rows(DEADLOCKS) == before
