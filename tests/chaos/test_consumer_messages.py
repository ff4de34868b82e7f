"""Messages that are copies, replays, old or unreadable: they take effect once or become dead letters."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from contracts.topics import CONSUMERS
from fc.audit.run import run_audit
from fc.platform.sources import Sources
from tests.chaos.kit.arena import QUIET_S, Arena
from tests.chaos.kit.consumers import CONSUMING, assert_completed_once, event_id, event_of, inbox_counts, service_states
from tests.chaos.kit.logs import FAILPOINT_HIT, LogTail, metric
from tests.chaos.kit.records import Record, delete_group, partitions, put
from tests.kit.bus import TOPICS, PublishedEvent

# Each test restarts services; on a busy machine a start takes many seconds.
pytestmark = pytest.mark.timeout(400)

OLD = timedelta(days=3)
POISON = {
    "no value": (None, "null_value"),
    "empty": (b"", "invalid_json"),
    "cut off": (b'{"order_id": ', "invalid_json"),
    "bad UTF-8": (b'{"order_id": "\xff\xfe"}', "invalid_json"),
    "a list": (b"[]", "invalid_payload"),
    "too deep": (b"[" * 100_000, "invalid_json"),
    "wrong type": (b'{"order_id": "seven", "status": 7, "products": {}}', "invalid_payload"),
    "too large": (b'{"order_id": 1e400, "status": "PAID"}', "invalid_payload"),
    "negative": (b'{"order_id": -1, "user_id": -1, "total_amount": -1}', "invalid_payload"),
    "unknown version": (b'{"schema_version": 99, "order": {"id": 1}}', "invalid_payload"),
}


async def completed_and_cancelled(arena: Arena) -> tuple[dict[str, Any], int, int]:
    """Complete one order of a product and cancel another by an expired invoice. Returns product and orders."""
    product, paid = await arena.placed(stock=9, quantity=2)
    await arena.complete(paid)
    expired = await arena.alice.checkout(product, 3)
    await arena.shop.expire((await arena.invoice(expired))["invoice_id"])
    await arena.alice.wait_status(expired, "cancelled")
    await arena.back_office.wait_stock(product, 7)
    await arena.bus.consumed()
    return product, paid, expired


def headers_with(event: PublishedEvent, **changed: str) -> list[tuple[str, bytes]]:
    """Return an event's headers with some of them replaced."""
    kept = [(name, value) for name, value in event.headers if name not in changed]
    return [*kept, *((name, value.encode()) for name, value in changed.items())]


@pytest.mark.fault(21)
async def test_copies_of_an_event_that_are_worked_on_at_the_same_instant_take_effect_once(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    topics = {"productfc": "stock.updated", "paymentfc": "order.created", "orderfc": "payment.success"}
    late = {service: {"FAILPOINTS": f"consumer.before_handler/{topic}=delay:1@*"} for service, topic in topics.items()}
    async with arena.all_replaced(late) as running:
        tails = {service: LogTail(each.log) for service, each in running.items()}
        order = await arena.alice.checkout(product, 2)
        for service, topic in topics.items():
            if topic == "payment.success":
                await arena.pay(order)
            event = await event_of(arena, order, topic)
            copies = [
                Record(topic, event.key or b"", event.value, event.headers, partition)
                for partition in await partitions(arena, topic)
            ]
            await put(arena, copies, producers=2)
            await tails[service].wait(FAILPOINT_HIT, len(copies) + 1, event_id=str(event_id(event)))
        await arena.bus.consumed()
        for topic in topics.values():
            assert set((await inbox_counts(arena, await event_of(arena, order, topic))).values()) == {1}
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.exact()


@pytest.mark.fault(22)
async def test_events_that_come_again_under_new_ids_find_their_effect_done(arena: Arena) -> None:
    product, paid, expired = await completed_and_cancelled(arena)
    before = await service_states(arena)
    for order in (paid, expired):
        events = await arena.bus.events_of(order)
        assert len(events) >= 3
        for event in [*events, *events]:
            await arena.bus.send(event, fresh_id=True)
    arena.healed()
    await arena.bus.consumed()
    assert await service_states(arena) == before
    assert await arena.back_office.stock(product) == 7
    assert await arena.shop.invoices(paid) == await arena.shop.invoices(expired) == 1
    await arena.exact()


@pytest.mark.fault(23)
async def test_all_events_replayed_from_the_beginning_after_the_inbox_was_purged_change_nothing(arena: Arena) -> None:
    product, paid, expired = await completed_and_cancelled(arena)
    await run_audit(Sources.of_stack(arena.stack.layout), quiesce_s=QUIET_S)
    before = await service_states(arena)
    async with arena.stopped(*CONSUMING):
        for service in CONSUMING:
            await delete_group(arena, service)
            await arena.sql(service, "DELETE FROM inbox")
    await run_audit(Sources.of_stack(arena.stack.layout), quiesce_s=QUIET_S)
    assert await service_states(arena) == before
    assert await arena.back_office.stock(product) == 7
    for event in [*await arena.bus.events_of(paid), *await arena.bus.events_of(expired)]:
        assert set((await inbox_counts(arena, event)).values()) == {1}, "it was replayed"
    await arena.exact()


@pytest.mark.fault(24)
async def test_unreadable_messages_are_kept_with_their_reason_and_orders_go_on_around_them(arena: Arena) -> None:
    product = await arena.back_office.product(stock=20)
    first = await arena.alice.checkout(product, 1)
    key = f"order-{first}".encode()
    mark = uuid4().hex.encode()
    records = [
        Record(topic, key, value, [("x-mark", mark), ("x-kind", kind.encode())])
        for topic in TOPICS
        for kind, (value, _) in POISON.items()
    ]
    await put(arena, records)
    arena.healed()
    orders = [first, *[await arena.alice.checkout(product, 1) for _ in range(9)]]
    for order in orders:
        await arena.complete(order)
    await arena.bus.consumed()
    for topic in TOPICS:
        letters = [letter for letter in await arena.bus.read(f"{topic}.dlq") if ("x-mark", mark) in letter.headers]
        expected = [
            (kind, value, reason, f"{service}.{topic}")
            for kind, (value, reason) in POISON.items()
            for service in CONSUMERS[topic]
        ]
        assert sorted(map(_letter_facts, letters), key=str) == sorted(expected, key=str)
    await arena.exact()


def _letter_facts(letter: PublishedEvent) -> tuple[str, bytes | None, str, str]:
    headers = {name: value.decode() for name, value in letter.headers}
    assert letter.key
    assert headers["x-error"]
    assert headers["x-source-offset"].isdecimal()
    return headers["x-kind"], letter.value, headers["x-reason"], headers["x-handler"]


@pytest.mark.fault(31)
async def test_events_of_three_days_ago_do_not_reopen_an_order_that_is_closed(arena: Arena) -> None:
    product, paid, expired = await completed_and_cancelled(arena)
    before = await service_states(arena)
    url = arena.stack.layout.url("productfc")
    counted = [
        await metric(arena, url, f"gocommerce_stock_{what}_total", outcome="unchanged") for what in ("takes", "returns")
    ]
    then = datetime.now(UTC) - OLD
    events = [*await arena.bus.events_of(paid), *await arena.bus.events_of(expired)]
    records = [
        Record(
            event.topic,
            event.key or b"",
            event.value,
            headers_with(event, ce_id=str(uuid4()), ce_source="another", ce_time=then.isoformat()),
            timestamp_ms=int(then.timestamp() * 1000),
        )
        for event in events
    ]
    await put(arena, records)
    arena.healed()
    await arena.bus.consumed()
    assert await service_states(arena) == before
    assert await arena.back_office.stock(product) == 7
    counted_now = [
        await metric(arena, url, f"gocommerce_stock_{what}_total", outcome="unchanged") for what in ("takes", "returns")
    ]
    assert [now - was for now, was in zip(counted_now, counted, strict=True)] == [2, 1]
    await arena.exact()


@pytest.mark.fault(32)
async def test_a_handler_that_fails_after_its_commit_is_run_again_without_effect(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    points = {
        "productfc": "db.after_commit=raise",
        "paymentfc": "consumer.after_handler/order.created=raise",
        "orderfc": "consumer.after_handler/payment.success=raise",
    }
    async with arena.all_replaced({service: {"FAILPOINTS": point} for service, point in points.items()}) as running:
        tails = {service: LogTail(each.log) for service, each in running.items()}
        order = await arena.alice.checkout(product, 2)
        await arena.complete(order)
        for tail in tails.values():
            await tail.wait("handler failed", key=f"order-{order}")
        await arena.bus.consumed()
        assert [len(tail.lines(FAILPOINT_HIT)) for tail in tails.values()] == [1, 1, 1]
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.exact()
