"""The one statement that registers an order: what came before it, what comes while it waits, and its own repetition."""

import asyncio
from decimal import Decimal

import pytest

from paymentfc.events import OrderCreated
from paymentfc.model.callback import Outcome
from paymentfc.model.payment import Reason, Status, external_id
from paymentfc.repository import callbacks, payments
from testkit import eventually

from .bench import Bench, message
from .runs import callback, created
from .test_statement_races import WAITS


async def test_a_message_that_was_applied_registers_nothing_again(bench: Bench) -> None:
    order_id = bench.new_id()
    order = OrderCreated(order_id=order_id, user_id=3, total_amount=Decimal(150_000))
    applied = message("order.created", order_id)
    for _ in range(2):
        await bench.register(applied, order)
        await bench.execute("TRUNCATE payments, payment_requests, payment_anomalies, invoice_closings, refunds")
    assert await bench.audits(order_id) == ["payment.created"]


async def early(bench: Bench, order_id: int, news: str) -> None:
    if news == "rejection":
        await bench.rejected(order_id)
        return
    ahead = bench.about(await bench.invoiced(), invoice_id=f"early-{order_id}", external_id=external_id(order_id))
    bench.xendit.agree(ahead)
    assert await bench.receive(ahead) is Outcome.WAITING


@pytest.mark.parametrize(("news", "requests"), [("rejection", []), ("callback", [1])])
async def test_what_came_before_the_order_decides_about_the_request_for_its_invoice(
    bench: Bench, news: str, requests: list[int]
) -> None:
    order_id = bench.new_id()
    await early(bench, order_id, news)
    await bench.order(order_id)
    rows = await bench.rows("SELECT attempts FROM payment_requests WHERE order_id = $1", order_id)
    assert [row["attempts"] for row in rows] == requests


@pytest.mark.parametrize("news", ["rejection", "callback"])
async def test_what_comes_while_the_order_waits_for_its_turn_is_taken_up(bench: Bench, news: str) -> None:
    order_id = bench.new_id()
    order = OrderCreated(order_id=order_id, user_id=3, total_amount=Decimal(150_000))

    async def waits() -> bool:
        return bool(await bench.rows(WAITS))

    async with bench.db.transaction() as tx:
        await payments.lock_unknown(tx, [external_id(order_id)])
        registering = asyncio.ensure_future(bench.register(message("order.created", order_id), order))
        await eventually(waits)
        if news == "rejection":
            await payments.add_tombstone(tx, order_id, Reason.STOCK_REJECTED, "out of stock")
        else:
            paid = bench.about(await bench.invoiced(), invoice_id="early", external_id=external_id(order_id))
            bench.xendit.agree(paid)
            await callbacks.add(tx, paid, "{}", None)
    await registering
    await bench.confirm()
    expected = Status.FAILED if news == "rejection" else Status.PAID
    assert (await bench.payment(order_id)).status is expected


@pytest.mark.parametrize("news", ["rejection", "callback"])
@pytest.mark.parametrize("others", [0, 2])
async def test_what_meets_an_order_that_is_being_registered_waits_for_it_and_is_applied_once(
    bench: Bench, news: str, others: int
) -> None:
    """The statement that registers has begun, so it sees nothing that comes now: that has to wait for its commit."""
    bench = bench.other(xendit_confirm_payments=False)
    order_id = bench.new_id()
    orders = [bench.new_id() for _ in range(others)] + [order_id]

    async def waiting(number: int) -> bool:
        return len(await bench.rows(WAITS)) == number

    async with bench.db.transaction() as tx:
        # The last table that the statement writes.
        await tx.driver().execute("LOCK TABLE payment_requests IN SHARE MODE")
        registering = asyncio.ensure_future(bench.deliver_together([created(number) for number in orders]))
        await eventually(lambda: waiting(1))
        arriving = asyncio.ensure_future(
            bench.rejected(order_id) if news == "rejection" else bench.receive(callback(order_id))
        )
        await eventually(lambda: arriving.done() or waiting(2))
        assert not arriving.done()
    await asyncio.gather(registering, arriving)
    payment = await bench.payment(order_id)
    if news == "rejection":
        assert (payment.status, payment.reason) == (Status.FAILED, "stock_rejected")
        assert await bench.rows("SELECT reason FROM rejected_orders WHERE order_id = $1", order_id) == []
        assert await bench.audits(order_id) == ["payment.created", "payment.failed"]
        return
    assert payment.status is Status.PAID
    outcomes = "SELECT outcome, deliveries FROM payment_callbacks WHERE external_id = $1"
    assert await bench.rows(outcomes, payment.external_id) == [{"outcome": "paid", "deliveries": 1}]
    assert await bench.audits(order_id) == ["payment.created", "payment.paid"]
    assert [event["topic"] for event in await bench.events(order_id)] == ["payment.success"]
    assert await bench.anomalies(order_id) == []
