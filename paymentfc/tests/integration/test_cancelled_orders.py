"""Payments of orders that their customers cancel, before, while and after they are made and paid."""

import asyncio

import pytest

from paymentfc.model.callback import Outcome
from paymentfc.model.payment import Status

from .bench import Bench, message
from .test_closing import STEPS

RECORDED = "SELECT kind, expected, received FROM payment_anomalies WHERE order_id = $1"


async def test_order_cancelled_closes_the_payment_and_expires_its_invoice(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.cancelled(payment.order_id)
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason) == (Status.FAILED, "order_cancelled")
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []
    assert await bench.rows(STEPS, payment.invoice_id) == [{"step": "look_again"}]
    # The order has published it.
    assert await bench.events(payment.order_id) == []
    assert (await bench.audits(payment.order_id))[-1] == "payment.failed"


async def test_order_cancelled_before_order_created_leaves_a_payment_without_invoice(bench: Bench) -> None:
    order_id = bench.new_id()
    await bench.cancelled(order_id)
    payment = await bench.order(order_id)
    assert (payment.status, payment.reason) == (Status.FAILED, "order_cancelled")
    await bench.invoice()
    assert bench.xendit.calls == []


@pytest.mark.parametrize("first", ["order_cancelled", "stock_rejected"])
async def test_of_two_ends_before_order_created_the_first_is_the_reason(bench: Bench, first: str) -> None:
    order_id = bench.new_id()
    ends = [bench.cancelled, bench.rejected]
    for end in ends if first == "order_cancelled" else reversed(ends):
        await end(order_id)
    assert (await bench.order(order_id)).reason == first


async def test_a_tombstone_of_the_version_before_is_a_rejection(bench: Bench) -> None:
    order_id = bench.new_id()
    await bench.execute("INSERT INTO rejected_orders (order_id, reason) VALUES ($1, 'out of stock')", order_id)
    assert (await bench.order(order_id)).reason == "stock_rejected"


async def test_order_cancelled_while_the_invoice_is_being_made_expires_it(bench: Bench) -> None:
    async def cancel() -> None:
        await bench.cancelled(payment.order_id)

    payment = await bench.order()
    bench.xendit.before_create = cancel
    await bench.invoice()
    await bench.close_invoices()
    assert len(bench.xendit.invoices) == 1
    assert bench.xendit.live(payment.external_id) == []


async def test_money_that_comes_after_order_cancelled_fails_the_order_and_is_on_record_once(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.cancelled(payment.order_id)
    assert await bench.callback(payment) is Outcome.LATE
    await bench.cancelled(payment.order_id)
    assert await bench.callback(payment) is Outcome.NOTHING
    found = await bench.payment(payment.order_id)
    assert (found.status, found.late_paid_at is not None) == (Status.FAILED, True)
    assert await bench.anomalies(payment.order_id) == ["paid_after_close"]
    assert [event["topic"] for event in await bench.events(payment.order_id)] == ["payment.success"]


async def test_order_cancelled_after_the_money_keeps_the_payment_and_records_the_money_once(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    for _ in range(2):
        await bench.cancelled(payment.order_id)
    await bench.rejected(payment.order_id)
    assert (await bench.payment(payment.order_id)).status is Status.PAID
    expected = {"kind": "paid_after_close", "expected": "order_cancelled", "received": "PAID"}
    assert await bench.rows(RECORDED, payment.order_id) == [expected]
    assert [event["topic"] for event in await bench.events(payment.order_id)] == ["payment.success"]


async def test_a_payment_that_has_ended_already_stays_as_it_is(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, "EXPIRED")
    await bench.cancelled(payment.order_id)
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason) == (Status.EXPIRED, "expired")
    assert await bench.anomalies(payment.order_id) == []


async def test_the_same_event_twice_at_once_is_applied_once(bench: Bench) -> None:
    payment = await bench.invoiced()
    again = message("order.cancelled", payment.order_id)
    again.value = b'{"order_id": %d, "reason": "by mistake", "event_time": "t"}' % payment.order_id
    await asyncio.gather(*(bench.handlers["order.cancelled"](again) for _ in range(4)))
    assert (await bench.audits(payment.order_id)).count("payment.failed") == 1
