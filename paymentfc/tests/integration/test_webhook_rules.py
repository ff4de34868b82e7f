"""The effects of callbacks on a real database: once, for the exact amount, and never back to an earlier status."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from paymentfc.model.callback import Outcome
from paymentfc.model.payment import Status

from .bench import TRACE, Bench

SUCCESS = {"status": "PAID", "topic": "payment.success"}


async def test_twenty_identical_callbacks_at_once_make_one_transition_and_one_event(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment))
    await asyncio.gather(*(bench.receive(bench.about(payment)) for _ in range(20)))
    await bench.confirm()
    assert (await bench.payment(payment.order_id)).status is Status.PAID
    assert await bench.events(payment.order_id) == [{"order_id": payment.order_id, **SUCCESS}]
    assert await bench.audits(payment.order_id) == ["payment.created", "invoice.created", "payment.paid"]
    stored = await bench.rows("SELECT deliveries FROM payment_callbacks WHERE invoice_id = $1", payment.invoice_id)
    assert stored == [{"deliveries": 20}]


async def test_success_goes_out_in_the_trace_of_the_checkout(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    rows = await bench.rows("SELECT headers->>'traceparent' AS t FROM outbox WHERE key = $1", payment.external_id)
    assert rows == [{"t": TRACE}]


async def test_settled_after_paid_and_expired_after_paid_change_nothing(bench: Bench) -> None:
    payment = await bench.invoiced()
    for status in ("PAID", "SETTLED", "EXPIRED", "PENDING"):
        await bench.callback(payment, status)
    assert (await bench.payment(payment.order_id)).status is Status.PAID
    assert len(await bench.events(payment.order_id)) == 1
    assert await bench.anomalies(payment.order_id) == []


async def test_expired_fails_the_payment_once_and_the_invoice_is_looked_at_a_day_later(bench: Bench) -> None:
    payment = await bench.invoiced()
    assert await bench.callback(payment, "EXPIRED") is Outcome.EXPIRED
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason) == (Status.EXPIRED, "expired")
    failed = {"order_id": payment.order_id, "status": "EXPIRED", "topic": "payment.failed", "reason": "expired"}
    assert await bench.events(payment.order_id) == [failed]
    due = await bench.rows(
        "SELECT step, due_at > now() + interval '23 hours' AS later FROM invoice_closings WHERE invoice_id = $1",
        payment.invoice_id,
    )
    assert due == [{"step": "look_again", "later": True}]


async def test_paid_after_expired_is_an_anomaly_and_tells_the_order_once(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, "EXPIRED")
    assert await bench.callback(payment, "PAID") is Outcome.LATE
    assert await bench.callback(payment, "SETTLED") is Outcome.LATE
    assert (await bench.payment(payment.order_id)).status is Status.EXPIRED
    assert await bench.anomalies(payment.order_id) == ["paid_after_close"]
    assert [event["topic"] for event in await bench.events(payment.order_id)] == ["payment.failed", "payment.success"]


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"amount": Decimal(149_999)}, ["amount_mismatch"]),
        ({"paid_amount": Decimal(1)}, ["amount_mismatch"]),
        ({"amount": Decimal(0)}, ["amount_mismatch"]),
        ({"amount": Decimal("1E+309")}, ["amount_mismatch"]),
        ({"currency": "USD"}, ["currency_mismatch"]),
        ({"currency": ""}, ["currency_mismatch"]),
        ({"status": "REFUNDED"}, ["unknown_status"]),
        ({"invoice_id": "another"}, ["unknown_invoice"]),
        ({"currency": "USD", "amount": Decimal(5)}, ["currency_mismatch", "amount_mismatch"]),
    ],
)
async def test_what_does_not_fit_is_recorded_once_per_case_and_moves_nothing(
    bench: Bench, fields: dict[str, Any], kinds: list[str]
) -> None:
    payment = await bench.invoiced()
    for _ in range(3):
        await bench.callback(payment, **{"status": "PAID", **fields})
    assert await bench.anomalies(payment.order_id) == kinds
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    assert await bench.events(payment.order_id) == []
    assert await bench.callback(payment) is Outcome.PAID


async def test_a_callback_of_an_unknown_order_waits_and_pays_it_when_it_appears(bench: Bench) -> None:
    order_id = bench.new_id()
    ahead = await bench.invoiced()
    early = {"invoice_id": f"early-{order_id}", "external_id": f"order-{order_id}"}
    assert await bench.callback(ahead, **early) is Outcome.WAITING
    assert await bench.anomalies(order_id) == ["unknown_invoice"]
    await bench.order(order_id)
    await bench.confirm()
    payment = await bench.payment(order_id)
    assert (payment.status, payment.invoice_id) == (Status.PAID, early["invoice_id"])
    assert len(await bench.events(order_id)) == 1
    sql = "SELECT count(*) AS n FROM payment_anomalies WHERE external_id = $1 AND resolved_at IS NULL"
    assert await bench.rows(sql, early["external_id"]) == [{"n": 0}]
    await bench.invoice()
    assert bench.xendit.live(early["external_id"]) == []


async def test_a_second_invoice_paid_before_its_order_is_known_stays_visible_as_money_to_give_back(
    bench: Bench,
) -> None:
    order_id = bench.new_id()
    ahead = await bench.invoiced()
    for number in (1, 2):
        await bench.callback(ahead, invoice_id=f"twin-{number}-{order_id}", external_id=f"order-{order_id}")
    await bench.order(order_id)
    await bench.confirm()
    payment = await bench.payment(order_id)
    assert payment.invoice_id == f"twin-1-{order_id}"
    sql = "SELECT invoice_id, order_id FROM payment_anomalies WHERE external_id = $1 AND resolved_at IS NULL"
    found = await bench.rows(sql, payment.external_id)
    assert found == [{"invoice_id": f"twin-2-{order_id}", "order_id": order_id}]
    assert len(await bench.events(order_id)) == 1


async def test_a_callback_and_its_order_at_once_always_end_paid(bench: Bench) -> None:
    ahead = await bench.invoiced()
    orders = [bench.new_id() for _ in range(20)]
    early = [{"invoice_id": f"race-{number}", "external_id": f"order-{number}"} for number in orders]
    await asyncio.gather(
        *(bench.order(number) for number in orders), *(bench.callback(ahead, **fields) for fields in early)
    )
    await bench.confirm()
    found = [await bench.payment(number) for number in orders]
    assert {payment.status for payment in found} == {Status.PAID}
    for number in orders:
        assert len(await bench.events(number)) == 1


async def test_one_invoice_can_not_pay_two_orders(bench: Bench) -> None:
    paid = await bench.invoiced()
    await bench.callback(paid)
    other = await bench.order()
    trusting = bench.other(xendit_confirm_payments=False)
    assert await trusting.receive(bench.about(other, invoice_id=paid.invoice_id)) is Outcome.ANOMALY
    assert await bench.anomalies(other.order_id) == ["unknown_invoice"]
    assert (await bench.payment(other.order_id)).status is Status.PENDING
