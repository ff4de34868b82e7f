"""Stock and payment that disagree: a paid order without stock is refunded, an unpaid order returns its stock."""

import asyncio
from random import Random
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.config.settings import load
from console.model.steps import Step
from console.model.waits import waits
from fc.audit.rules.rule import Level
from fc.audit.run import run_audit
from fc.demo.shop import poll
from fc.ops.read_unfinished import read_unfinished
from fc.platform.sources import Sources
from orderfc.config import Settings
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.locks import products_locked, wait_for_waiters
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.payments import anomaly_kinds, pay_late
from tests.chaos.kit.requests import checkout, place_order
from tests.chaos.kit.stock import change_product, ledger, stock_of, wait_ledger
from tests.kit.stacks import secret_of

EVENTS_OF_A_LATE_PAYMENT = {
    "order.created": 1,
    "stock.updated": 1,
    "payment.failed": 1,
    "stock.rollback": 1,
    "payment.success": 1,
}


@pytest.mark.fault(35)
@pytest.mark.parametrize("first", ["payment.failed", "payment.success"])
async def test_final_status_does_not_depend_on_event_order_or_duplicates(arena: Arena, first: str) -> None:
    product, number = await arena.placed(stock=5, quantity=2)
    invoice = await arena.invoice(number)
    await wait_ledger(arena, number, "TAKEN")
    if first == "payment.failed":
        await arena.shop.expire(invoice["invoice_id"])
        await arena.alice.wait_status(number, "cancelled")
        await pay_late(arena, invoice)
    else:
        sits = {"FAILPOINTS": "consumer.before_handler/payment.failed=delay:120"}
        async with arena.replaced("orderfc", sits) as orderfc:
            await arena.shop.expire(invoice["invoice_id"])
            await arena.alice.wait_payment(number, "EXPIRED")
            await pay_late(arena, invoice)
            await arena.alice.wait_status(number, "completed")
            orderfc.process.kill()
    await arena.alice.wait_status(number, "failed", 40)
    await wait_ledger(arena, number, "RELEASED")
    history = ["created", "cancelled" if first == "payment.failed" else "completed", "failed"]

    events, draw = await arena.bus.events_of(number), Random(35)
    for _ in range(3):
        for event in draw.sample(events, len(events)):
            await arena.bus.send(event, fresh_id=False)
            await arena.bus.send(event, fresh_id=True)
    await arena.bus.consumed()
    arena.healed()
    await arena.exact()
    assert await arena.history(number) == history
    assert await event_counts(arena, number) == EVENTS_OF_A_LATE_PAYMENT
    assert await anomaly_kinds(arena, number) == ["paid_after_close"]
    assert await stock_of(arena, product) == 5


@pytest.mark.fault(39)
async def test_an_order_that_was_paid_while_its_stock_went_elsewhere_is_failed_and_its_refund_is_seen(
    arena: Arena,
) -> None:
    first, gone = [await arena.back_office.product(stock=5) for _ in range(2)]
    async with products_locked(arena, first) as connection:
        number = await place_order(arena, (first, 1), (gone, 1))
        await wait_for_waiters(connection)
        (await change_product(arena, gone, stock=0)).raise_for_status()
        await arena.complete(number)
    await arena.alice.wait_status(number, "failed")
    await arena.exact()
    assert await arena.history(number) == ["created", "completed", "failed"]
    assert await anomaly_kinds(arena, number) == ["paid_after_close"]
    assert await ledger(arena, number) == dict.fromkeys((first["id"], gone["id"]), (1, "REJECTED"))
    assert [await stock_of(arena, product) for product in (first, gone)] == [5, 0]


@pytest.mark.fault(41)
async def test_what_was_ordered_is_charged_and_served_as_it_was_though_the_product_changes_or_goes(
    arena: Arena,
) -> None:
    dearer, archived = [await arena.back_office.product(stock=5, price=20_000) for _ in range(2)]
    async with arena.broken("kafka", "refuse"):
        paid, expired = [await place_order(arena, (dearer, 1), (archived, 2)) for _ in range(2)]
        (await change_product(arena, dearer, price=90_000, name="Dearer")).raise_for_status()
        (await change_product(arena, archived)).raise_for_status()
    await arena.shop.expire((await arena.invoice(expired))["invoice_id"])
    await arena.alice.wait_status(expired, "cancelled")
    await arena.complete(paid)
    await arena.exact()
    assert (await arena.alice.order(paid))["total_amount"] == (await arena.alice.payment(paid))["amount"] == 60_000
    invoices = (await arena.client.get(f"{arena.stack.layout.url('xendit')}/_sim/invoices")).json()
    asked = {item["external_id"]: item["amount"] for item in invoices}
    assert asked[f"order-{paid}"] == asked[f"order-{expired}"] == 60_000
    assert [await stock_of(arena, product) for product in (dearer, archived)] == [4, 3]
    refused = [
        await checkout(arena, {"product_id": dearer["id"], "quantity": 1, "price": 20_000}),
        await checkout(arena, (archived, 1)),
    ]
    assert [answer.json()["code"] for answer in refused] == ["price_mismatch", "not_found"]


async def callback(arena: Arena, invoice: dict[str, Any], status: str) -> httpx2.Response:
    """Send paymentfc a callback of an invoice."""
    token = secret_of(arena.stack, "paymentfc", "xendit_webhook_token")
    body = {
        "id": invoice["invoice_id"],
        "external_id": invoice["external_id"],
        "status": status,
        "amount": invoice["amount"],
        "currency": "IDR",
    }
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/xendit/webhook"
    return await arena.client.post(url, headers={"x-callback-token": token}, json=body)


@pytest.mark.fault(42)
async def test_an_order_that_is_paid_while_it_is_given_up_is_completed_or_refunded(
    arena: Arena,
) -> None:
    product = await arena.back_office.product(stock=20)
    numbers = [await arena.alice.checkout(product, 1) for _ in range(8)]
    invoices = [await arena.invoice(number) for number in numbers]
    async with arena.back_office.faults({"drop_webhooks": True, "late_payment_status": "PAID"}):
        for invoice in invoices:
            await arena.shop.expire(invoice["invoice_id"])
            await pay_late(arena, invoice)
        barrier = asyncio.Barrier(8 * 4)

        async def at_once(invoice: dict[str, Any], status: str) -> int:
            await barrier.wait()
            return (await callback(arena, invoice, status)).status_code

        sent = [(invoice, status) for invoice in invoices for status in ("EXPIRED", "PAID")] * 2
        Random(42).shuffle(sent)
        assert await asyncio.gather(*(at_once(*each) for each in sent)) == [200] * len(sent)
    arena.healed()
    await arena.exact()
    kept = 0
    for number in numbers:
        ends = (
            (await arena.alice.payment(number))["status"],
            await arena.history(number),
            await anomaly_kinds(arena, number),
        )
        if ends[0] == "PAID":
            assert ends[1:] == (["created", "completed"], [])
            kept += 1
        else:
            assert ends[0] == "EXPIRED"
            assert set(ends[1]) in ({"created", "cancelled", "failed"}, {"created", "completed", "failed"})
            assert ends[1:][1] == ["paid_after_close"]
    assert await stock_of(arena, product) == 20 - kept


@pytest.mark.fault(44)
@pytest.mark.parametrize("end", ["completed", "cancelled"])
async def test_order_without_payment_callback_is_polled_and_frees_its_stock(arena: Arena, end: str) -> None:
    product, number = await arena.placed(stock=5, quantity=2)
    invoice = await arena.invoice(number)
    async with arena.back_office.faults({"drop_webhooks": True}):
        await (arena.shop.pay if end == "completed" else arena.shop.expire)(invoice["invoice_id"])
        await arena.alice.wait_status(number, end, 40)
    arena.healed()
    await arena.exact()
    assert await arena.history(number) == ["created", end]
    assert await stock_of(arena, product) == (3 if end == "completed" else 5)


async def skip_unread(arena: Arena, group: str, topic: str) -> None:
    """Move a stopped group to the end of a topic: it never gets the records that it has not read."""
    broker = f"127.0.0.1:{arena.stack.layout.port('kafka')}"
    partitions = [TopicPartition(topic, number) for number in range(load(Settings).kafka_partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.commit(dict(await consumer.end_offsets(partitions)))
    finally:
        await consumer.stop()


@pytest.mark.fault(44)
async def test_an_order_whose_event_the_broker_has_lost_is_named_and_goes_on_when_it_is_told_again(
    arena: Arena,
) -> None:
    async with arena.stopped("paymentfc"):
        _, number = await arena.placed(stock=5, quantity=2)

        async def sent() -> bool:
            rows = await arena.sql("orderfc", "SELECT published_at FROM outbox WHERE key = $1", f"order-{number}")
            return all(row["published_at"] for row in rows)

        await poll(sent, "the events are published")
        await skip_unread(arena, "paymentfc", "order.created")
    report = await run_audit(Sources.of_stack(arena.stack.layout), quiesce_s=60)
    rules = {finding.rule for finding in report.findings if finding.level is Level.VIOLATION}
    assert rules == {"payment_missing", "event_applied"}
    open_waits = waits(await read_unfinished(Sources.of_stack(arena.stack.layout)), 0)
    assert [wait.step for wait in open_waits if wait.order_id == number] == [Step.PAYMENT]
    # The procedure of docs/operations.md for a broker that has lost acknowledged records.
    await arena.sql("orderfc", "UPDATE outbox SET published_at = NULL WHERE published_at > now() - interval '1 minute'")
    arena.healed()
    await arena.complete(number)
    await arena.exact()
    assert await event_counts(arena, number) == {"order.created": 1, "stock.updated": 1, "payment.success": 1}
