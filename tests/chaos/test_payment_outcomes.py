"""How a payment ends without a callback, or with several sources at once; every topic is consumed to its end."""

import asyncio
import signal
from contextlib import AsyncExitStack

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from console.model.audits import TOPIC as AUDITS
from console.model.journal import TOPIC as JOURNAL
from fc.demo.shop import poll
from fc.platform.topics import DEAD_LETTERS
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.locks import payment_locked, wait_for_waiters
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.payments import (
    NO_CALLBACKS,
    PAID_ORDER,
    UNPAID_ORDER,
    callbacks,
    last_callback,
    payment_row,
    post_callback,
    postpone_other_checks,
    unchecked_invoice,
    xendit_invoices,
)
from tests.kit.bus import GROUPS, TOPICS


async def topics_at(arena: Arena) -> set[str]:
    """Return the broker's topics, without internal and dead letter topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{arena.stack.layout.port('kafka')}")
    await admin.start()
    try:
        return {topic for topic in await admin.list_topics() if not topic.startswith("__")} - DEAD_LETTERS.keys()
    finally:
        await admin.close()


@pytest.mark.fault(53)
async def test_every_topic_on_which_something_was_said_is_consumed_to_its_end(arena: Arena) -> None:
    expired = (await arena.placed())[1]
    await arena.shop.expire((await arena.invoice(expired))["invoice_id"])
    await arena.alice.cancel((await arena.placed())[1])
    last = await arena.back_office.product(stock=1)
    async with arena.broken("kafka", "refuse"):
        rivals = [await arena.alice.checkout(last, 1) for _ in range(2)]

    async def one_is_rejected() -> bool:
        return "cancelled" in [(await arena.alice.order(order))["status"] for order in rivals]

    await poll(one_is_rejected, "one of two orders of the last piece is rejected", 40, 0.02)
    await arena.alice.wait_status(expired, "cancelled", 40)
    await arena.exact()
    said_on = {
        str(row["topic"]) for service in GROUPS for row in await arena.sql(service, "SELECT DISTINCT topic FROM outbox")
    }
    # The journal of operators and the reports of the auditor have no consumer.
    assert said_on == await topics_at(arena) - {JOURNAL, AUDITS} == set(TOPICS)
    assert [topic for topic in TOPICS if not await arena.bus.read(topic)] == []
    await arena.bus.consumed()


@pytest.mark.fault(53)
async def test_an_invoice_that_expires_without_a_word_cancels_its_order_and_gives_the_stock_back(arena: Arena) -> None:
    short = {"INVOICE_DURATION_S": "2", "SCHEDULER_STATUS_INTERVAL_S": "3600"}
    async with arena.back_office.faults({"expired_webhooks": False}):
        async with arena.replaced("paymentfc", short):
            product, order = await arena.placed(stock=5, quantity=2)
            await arena.alice.wait_status(order, "cancelled", 60)
        await arena.back_office.wait_stock(product, 5)
    await arena.exact()
    row = await payment_row(arena, order)
    assert (row["status"], row["reason"]) == ("EXPIRED", "expired")
    assert [item["status"] for item in await xendit_invoices(arena, order)] == ["EXPIRED"]
    assert await event_counts(arena, order) == UNPAID_ORDER
    assert await callbacks(arena, order) == []


async def both_claimed(arena: Arena, order: int) -> bool:
    row = await payment_row(arena, order)
    return row["check_after"] is not None and row["sweep_after"] is not None


@pytest.mark.fault(56)
@pytest.mark.parametrize("end", ["paid", "expired"])
async def test_a_callback_the_status_check_and_the_sweep_that_meet_make_one_step(arena: Arena, end: str) -> None:
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    async with arena.back_office.faults(NO_CALLBACKS):
        await (arena.shop.pay if end == "paid" else arena.shop.expire)(invoice["invoice_id"])
        body = await last_callback(arena, invoice["invoice_id"])
    # Else those may hold all slots of the status check for the 5 s after which a silent Xendit is given up.
    await postpone_other_checks(arena, order)
    often = {"SCHEDULER_STATUS_INTERVAL_S": "0.2", "SCHEDULER_EXPIRY_INTERVAL_S": "0.2"}
    async with arena.replaced("paymentfc", often):
        async with arena.frozen("xendit"), AsyncExitStack() as locked:
            both_due = "UPDATE payments SET check_after = NULL, expires_at = now() WHERE order_id = $1"
            await arena.sql("paymentfc", both_due, order)
            await poll(lambda: both_claimed(arena, order), "check and sweep ask Xendit", 20, 0.02)
            connection = await locked.enter_async_context(payment_locked(arena, order))
            arena.signal("xendit", signal.SIGCONT)
            await wait_for_waiters(connection, 2)
            telling = asyncio.create_task(post_callback(arena, body))
            await wait_for_waiters(connection, 3)
        assert (await telling).status_code == 200
        await arena.alice.wait_status(order, "completed" if end == "paid" else "cancelled", 40)
    await arena.exact()
    assert await event_counts(arena, order) == (PAID_ORDER if end == "paid" else UNPAID_ORDER)
    assert (await payment_row(arena, order))["status"] == end.upper()
    assert len(await callbacks(arena, order)) == 1
