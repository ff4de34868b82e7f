"""Payment results and rejections applied in one transaction: any run has the result of its messages one by one."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.db.database import Database
from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message
from orderfc.config import Settings
from orderfc.model import Cause, Draft, Line, Status, transition
from orderfc.repository import placing
from orderfc.repository.placing import NewOrder, Payloads
from testkit.properties import Burst, Delivery, examples

from .conftest import deliver_together, message

PAID, PAYMENT_FAILED, STOCK_REJECTED = "payment.success", "payment.failed", "stock.rejected"
TOPICS = (PAID, PAYMENT_FAILED, STOCK_REJECTED)
ORDERS = range(4)
UNKNOWN = 2**62
STATUS = {PAID: "PAID", PAYMENT_FAILED: "EXPIRED", STOCK_REJECTED: "x"}
CAUSES = {PAID: Cause.PAID, PAYMENT_FAILED: Cause.PAYMENT_FAILED, STOCK_REJECTED: Cause.STOCK_REJECTED}
LINES = [{"product_id": 3, "quantity": 1}, {"product_id": 7, "quantity": 2}]
# A topic, and bursts of its events: here those of a burst are one run.
Run = tuple[str, Burst[int]]


@pytest.fixture(scope="module")
async def db(settings: Settings) -> AsyncIterator[Database]:
    """One pool for all examples of this module."""
    db = Database(settings)
    yield db
    await db.close()


async def placed(db: Database) -> int:
    lines = (Line(7, "Kopi", 2, Decimal(100)), Line(3, "Teh", 1, Decimal(50)))
    draft = Draft(1, lines, "IDR", "CARD", "here")
    [new] = await placing.place(db, [NewOrder(draft, Payloads("{}", "{}", {}))], 10**6)
    assert new.order_id
    return new.order_id


def event(topic: str, order_id: int, event_id: str = "", status: str = "") -> Message:
    value = json.dumps({"order_id": order_id, "status": status or STATUS[topic]}).encode()
    return message(topic, value, event_id or str(uuid4()))


async def rows(db: Database, query: str, *arguments: object) -> list[Any]:
    async with db.driver() as connection:
        return list(await connection.fetch(query, *arguments))


async def statuses(db: Database, order_ids: list[int]) -> list[int]:
    return [row[0] for row in await rows(db, "SELECT status FROM orders WHERE id = ANY($1) ORDER BY id", order_ids)]


@dataclass
class Stage:
    """The orders of one way of delivery; everything is told by their small numbers."""

    db: Database
    orders: list[int]
    name: UUID = field(default_factory=uuid4)
    sent: dict[UUID, str] = field(default_factory=dict)

    def messages(self, run: Run) -> list[Message]:
        topic, burst = run
        return [self._message(topic, delivery) for delivery in burst.deliveries]

    def _message(self, topic: str, delivery: Delivery[int]) -> Message:
        made = event(topic, self.orders[delivery.event], str(delivery.event_id(self.name)))
        self.sent[made.identity] = f"{topic} {delivery.event} {delivery.number}"
        return made

    async def result(self) -> dict[str, Any]:
        """Return what the database holds and what was published, in terms of the numbers."""
        history = await rows(
            self.db,
            "SELECT order_id, status, cause FROM order_history WHERE order_id = ANY($1) ORDER BY order_id, id",
            self.orders,
        )
        inbox = await rows(self.db, "SELECT event_id FROM inbox WHERE event_id = ANY($1)", list(self.sent))
        published = await rows(
            self.db,
            "SELECT payload::text FROM outbox WHERE topic = 'stock.rollback' AND key = ANY($1) ORDER BY id",
            [f"order-{order}" for order in self.orders],
        )
        rollbacks = [json.loads(row[0]) for row in published]
        return {
            "statuses": await statuses(self.db, self.orders),
            "history": [(self.orders.index(row[0]), row[1], row[2]) for row in history],
            "inbox": sorted(self.sent[row[0]] for row in inbox),
            "rollbacks": [(self.orders.index(each["order_id"]), each["products"]) for each in rollbacks],
        }


def declared(schedule: list[Run]) -> dict[str, Any]:
    """Say what the table of transitions makes of the messages, one after the other, as `Stage.result` tells it."""
    statuses = [Status.CREATED for _ in ORDERS]
    history = [(number, 0, "checkout") for number in ORDERS]
    inbox: set[str] = set()
    rollbacks = []
    for topic, burst in schedule:
        if burst.purge:
            inbox.clear()
        for number, delivery in [(each.event, each) for each in burst.deliveries]:
            name = f"{topic} {number} {delivery.number}"
            change = transition(statuses[number], CAUSES[topic])
            if name not in inbox and change.status is not None:
                statuses[number] = change.status
                history.append((number, int(change.status), CAUSES[topic].value))
                rollbacks += [(number, LINES)] if change.publish_rollback else []
            inbox.add(name)
    # The rows of an order stay in their order.
    history.sort(key=lambda row: row[0])
    told = {"statuses": [int(status) for status in statuses], "history": history}
    return {**told, "inbox": sorted(inbox), "rollbacks": rollbacks}


deliveries = st.lists(st.builds(Delivery, st.sampled_from(ORDERS), st.integers(0, 1)), min_size=1, max_size=8)
runs = st.tuples(
    st.sampled_from(TOPICS), st.builds(Burst, deliveries.map(tuple), st.sampled_from([False] * 4 + [True]))
)


@examples(60)
@given(st.lists(runs, min_size=1, max_size=6))
async def test_any_run_has_the_result_of_its_messages_one_by_one_which_is_that_of_the_table(
    db: Database, schedule: list[Run]
) -> None:
    for together in (False, True):
        stage = Stage(db, [await placed(db) for _ in ORDERS])
        for run in schedule:
            if run[1].purge:
                await rows(db, "DELETE FROM inbox")
            messages = stage.messages(run)
            for part in [messages] if together else [[one] for one in messages]:
                await deliver_together(db, part)
        assert await stage.result() == declared(schedule), f"together: {together}"


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("position", range(4))
async def test_a_run_with_an_order_that_is_not_there_yet_at_any_place_does_nothing(
    db: Database, topic: str, position: int
) -> None:
    known = [await placed(db) for _ in range(4)]
    run = [event(topic, order) for order in known]
    run[position] = event(topic, UNKNOWN)
    with pytest.raises(NotYet, match=f"order {UNKNOWN} is not known"):
        await deliver_together(db, run)
    assert await statuses(db, known) == [0] * 4
    assert await rows(db, "SELECT 1 FROM inbox WHERE event_id = ANY($1)", [each.identity for each in run]) == []


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize(
    ("poison", "reason"),
    [('{"order_id": 1, "status": "EXPIRED"}', "status_mismatch"), ('{"order_id": ', "invalid_json")],
)
async def test_a_run_with_a_poison_message_at_any_place_does_nothing(
    db: Database, position: int, poison: str, reason: str
) -> None:
    known = [await placed(db) for _ in range(4)]
    run = [event(PAID, order) for order in known]
    run[position] = message(PAID, poison.encode(), str(uuid4()))
    with pytest.raises(InvalidMessage) as raised:
        await deliver_together(db, run)
    assert raised.value.reason == reason
    assert await statuses(db, known) == [0] * 4
    assert await rows(db, "SELECT 1 FROM inbox WHERE event_id = ANY($1)", [each.identity for each in run]) == []


async def test_a_run_that_comes_again_with_more_behind_it_is_applied_where_it_is_new(db: Database) -> None:
    known = [await placed(db) for _ in range(12)]
    run = [event(PAYMENT_FAILED, order) for order in known[:10]]
    await deliver_together(db, run)
    # As after a kill between the commit and the offset.
    await deliver_together(db, run)
    await deliver_together(db, [*run[5:], event(PAYMENT_FAILED, known[10]), *run[:5]])
    assert await statuses(db, known) == [3] * 11 + [0]
    keys = [f"order-{order}" for order in known]
    published = await rows(db, "SELECT key FROM outbox WHERE topic = 'stock.rollback' AND key = ANY($1)", keys)
    assert sorted(row[0] for row in published) == sorted(keys[:11])


async def test_runs_at_the_same_time_share_orders_and_events_without_a_deadlock(db: Database) -> None:
    known = [await placed(db) for _ in range(40)]
    before = await rows(db, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    of = {topic: [event(topic, order) for order in known] for topic in TOPICS}
    gate = asyncio.Semaphore(6)

    async def deliver(topic: str) -> None:
        async with gate:
            await deliver_together(db, random.sample(of[topic], 30))

    await asyncio.gather(*(deliver(topic) for topic in [*TOPICS] * 6))
    for topic in TOPICS:
        await deliver_together(db, of[topic])
    assert await statuses(db, known) == [4] * 40
    assert await rows(db, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == before


async def test_an_event_of_a_run_belongs_to_the_trace_of_its_own_message(db: Database) -> None:
    known = [await placed(db) for _ in range(3)]
    traces = [f"{number:032x}" for number in (1, 2, 3)]
    run = [
        Message.received(
            PAYMENT_FAILED,
            0,
            number,
            b"k",
            json.dumps({"order_id": order, "status": "EXPIRED"}).encode(),
            [("ce_id", str(uuid4()).encode()), ("traceparent", f"00-{trace}-{'b' * 16}-00".encode())],
        )
        for number, (order, trace) in enumerate(zip(known, traces, strict=True))
    ]
    await deliver_together(db, run)
    for order, trace in zip(known, traces, strict=True):
        [row] = await rows(
            db,
            "SELECT headers->>'traceparent' FROM outbox WHERE topic = 'stock.rollback' AND key = $1",
            f"order-{order}",
        )
        assert row[0].split("-")[1] == trace
