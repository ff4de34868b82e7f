"""Faults of the broker: checkouts go on, the backlog keeps its order, and each event has one effect."""

import signal
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import assert_completed_once, event_id, event_of
from tests.chaos.kit.logs import LogTail, metric
from tests.chaos.kit.outboxes import copies_on_topic, numbered_events, outbox_rows

MIB = 1024 * 1024


async def kafka_check(arena: Arena) -> tuple[int, str]:
    """Return the status of orderfc's readiness and its check of the broker."""
    answer = await arena.client.get(f"{arena.stack.layout.url('orderfc')}/ready")
    return answer.status_code, answer.json()["checks"]["kafka"]


async def says_of_kafka(arena: Arena, expected: str) -> None:
    """Wait until readiness says so: it is computed at most once a second."""

    async def says() -> bool:
        return await kafka_check(arena) == (200, expected)

    await poll(says, f"readiness says that Kafka is {expected}", 10)


def broker_fault(arena: Arena, trouble: str) -> AbstractAsyncContextManager[None]:
    return arena.frozen("kafka") if trouble == "frozen" else arena.broken("kafka", trouble)


@pytest.mark.fault(8)
@pytest.mark.parametrize(
    ("trouble", "says"), [("refuse", "degraded: unreachable"), ("frozen", "degraded: no answer within 2 s")]
)
async def test_checkout_works_without_a_broker_and_the_backlog_drains_in_order(
    arena: Arena, trouble: str, says: str
) -> None:
    product = await arena.back_office.product(stock=10)
    async with numbered_events(arena) as events:
        async with broker_fault(arena, trouble):
            orders = [await arena.alice.checkout(product, 1) for _ in range(5)]
            await events.put(60, keys=3)
            await says_of_kafka(arena, says)
            waiting = [
                event["published_at"] for order in orders for event in await outbox_rows(arena, "orderfc", order)
            ]
            assert waiting == [None] * 10
        await events.published()
        await events.duplicates()
    await says_of_kafka(arena, "ok")
    for order in orders:
        await arena.complete(order)
    await arena.exact()
    assert await arena.back_office.stock(product) == 5


@pytest.mark.fault(9)
async def test_a_send_that_nobody_answers_ends_and_its_event_waits_for_the_next_try(arena: Arena) -> None:
    product, before = await arena.placed()
    await arena.complete(before)
    await arena.bus.consumed()
    async with arena.broken("kafka", "blackhole"):
        order = await arena.alice.checkout(product, 1)

        async def tried() -> list[dict[str, Any]]:
            events = await outbox_rows(arena, "orderfc", order)
            return events if all(event["attempts"] for event in events) else []

        for event in await poll(tried, "both sends have ended", 40, 0.05):
            assert (event["attempts"], event["published_at"]) == (1, None)
            assert event["next_attempt_at"]
            assert event["last_error"]
        # Checkouts do not depend on the relay.
        another = await arena.alice.checkout(product, 1)
    for number in (order, another):
        await arena.complete(number)
    await arena.exact()


@pytest.mark.fault(10)
async def test_a_broker_that_is_killed_and_started_again_has_lost_nothing_and_everybody_comes_back(
    arena: Arena,
) -> None:
    product = await arena.back_office.product(stock=10)
    async with numbered_events(arena) as events:
        orders = [await arena.alice.checkout(product, 1)]
        await events.put(10_000, keys=10)
        await events.published(at_least=10)
        arena.signal("kafka", signal.SIGKILL)
        orders += [await arena.alice.checkout(product, 1) for _ in range(3)]
        await poll(arena.stack.programs.brokers[0].ready, "the broker is back", 60, 0.1)
        arena.healed()
        orders.append(await arena.alice.checkout(product, 1))
        await events.published()
        await events.duplicates()
    for order in orders:
        await arena.complete(order, deadline_s=60)
    await arena.exact()
    assert await arena.back_office.stock(product) == 5


@pytest.mark.fault(11)
async def test_events_that_can_not_be_sent_are_parked_and_hold_up_no_others(arena: Arena) -> None:
    async with (
        arena.replaced("orderfc", {"OUTBOX_MAX_TRIES": "3"}) as orderfc,
        numbered_events(arena) as events,
    ):
        tail = LogTail.of(arena, "orderfc")
        # Larger than the producer's limit, larger than the broker's, and a header that is not text.
        await events.add("key-0", {"text": "x" * (5 * MIB // 2)}, {})
        await events.add("key-1", {"text": "x" * (3 * MIB // 2)}, {})
        await events.add("key-2", {}, {"traceparent": 1})
        await events.put(40, keys=4)
        _, order = await arena.placed()
        await arena.complete(order)
        await tail.wait("event parked", 3, topic=events.topic)
        await events.published(at_least=40)
        assert await events.duplicates() == 0
        # Other keys are published meanwhile; the three keys are published once their first event is parked.
        for key, row in (await events.by_key()).items():
            if key == "key-3":
                assert (row["parked"], row["held_up"]) == (0, 0)
            else:
                assert (row["parked"], row["tries"], row["held_up"]) == (1, 3, 10)

        async def counted() -> bool:
            return await metric(arena, orderfc.url, "gocommerce_outbox_parked") == 3

        await poll(counted, "the metric for the alert", 10, 0.05)
    await arena.exact()


async def assert_sent_again(arena: Arena, product: dict[str, Any], order: int) -> None:
    """Check that the events of the checkout were sent more than once and had one effect."""
    for topic in ("order.created", "stock.updated"):
        copies = await copies_on_topic(arena, order, topic)
        assert len(copies) > 1
        assert len({event_id(event) for event in copies}) == 1
    await assert_completed_once(arena, product, order, quantity=2)


@pytest.mark.fault(12)
async def test_an_event_whose_acknowledgement_was_lost_is_sent_again_and_has_one_effect(arena: Arena) -> None:
    product, before = await arena.placed(stock=5)
    await arena.complete(before)
    await arena.bus.consumed()
    async with arena.broken("kafka", "cut", 0):
        order = await arena.alice.checkout(product, 2)
        for topic in ("order.created", "stock.updated"):
            await event_of(arena, order, topic)
        assert [event["published_at"] for event in await outbox_rows(arena, "orderfc", order)] == [None, None]
    await arena.complete(order)
    await arena.exact()
    await assert_sent_again(arena, product, order)


@pytest.mark.fault(12)
async def test_events_that_were_acknowledged_before_their_relay_failed_are_not_sent_again(arena: Arena) -> None:
    async with arena.replaced("orderfc", {"FAILPOINTS": "relay.after_send=timeout"}):
        product, order = await arena.placed(stock=5, quantity=2)
        await arena.complete(order)
    await arena.exact()
    for topic in ("order.created", "stock.updated"):
        assert len(await copies_on_topic(arena, order, topic)) == 1
    await assert_completed_once(arena, product, order, quantity=2)


IDLE = "SELECT pid FROM pg_stat_activity WHERE datname = 'orderfc' AND state = 'idle in transaction'"


@pytest.mark.fault(13)
async def test_a_transaction_that_stays_open_is_ended_and_a_large_outbox_behind_it_delays_no_event(
    arena: Arena,
) -> None:
    product, order = await arena.placed()
    invoice = await arena.invoice(order)
    # Longer than the 15 s that a session may stay idle in a transaction.
    async with (
        arena.replaced("orderfc", {"FAILPOINTS": "db.before_commit=delay:17"}),
        numbered_events(arena) as events,
    ):
        await events.add_waiting(50_000)
        # A payment that fails: its order is changed in a transaction of several statements.
        await arena.shop.expire(invoice["invoice_id"])

        async def idle() -> bool:
            return bool(await arena.sql("orderfc", IDLE))

        async def over() -> bool:
            return not await idle()

        await poll(idle, "a transaction is left open", 20, 0.05)
        await events.publish_waiting()
        later = await arena.bob.checkout(product, 1)
        await events.put(100, keys=10)
        await events.published()
        await arena.invoice(later, arena.bob)
        assert await idle(), "or the transaction was not in the way"
        assert await arena.history(order) == ["created"]
        await poll(over, "the transaction is ended", 30, 0.02)
        assert await arena.history(order) == ["created"], "or it has ended by itself"
        await events.duplicates()
        await arena.alice.wait_status(order, "cancelled", 40)
        await arena.complete(later, arena.bob)
    await arena.sql("orderfc", "VACUUM outbox")
    await arena.exact()
    assert await arena.history(order) == ["created", "cancelled"]
