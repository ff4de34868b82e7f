"""Floods of callbacks with the right token and made-up ids: what they may cost other orders is bounded."""

import pytest

from paymentfc.errors import Refused
from paymentfc.model.callback import Outcome
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Status

from .bench import Bench

WORK = "SELECT invoice_id FROM payment_confirmations WHERE external_id = $1"
OPEN = "SELECT kind, expected, received FROM payment_anomalies WHERE external_id = $1 AND resolved_at IS NULL"
UNANSWERED = {"kind": "unconfirmed", "expected": "no answer", "received": "PAID"}


async def test_an_id_that_xendit_never_answers_is_given_up_after_days_and_stays_in_sight(bench: Bench) -> None:
    async def odd(_: str) -> Invoice:
        raise Refused(400, "API_VALIDATION_ERROR", "no")

    payment = await bench.order()
    bench.xendit.instead["get"] = odd
    assert await bench.receive(bench.about(payment, invoice_id="..")) is Outcome.CONFIRMING
    await bench.confirm()
    assert await bench.rows(OPEN, payment.external_id) == []
    await bench.execute("UPDATE payment_confirmations SET create_time = now() - interval '4 days'")
    await bench.confirm_later()
    assert await bench.rows(WORK, payment.external_id) == []
    assert await bench.rows(OPEN, payment.external_id) == [UNANSWERED]


async def test_xendit_is_asked_about_a_bounded_number_of_made_up_invoices_of_an_order(bench: Bench) -> None:
    payment = await bench.order()
    for _ in range(2):
        for number in range(30):
            await bench.receive(bench.about(payment, invoice_id=f"made-up-{number}"))
    assert len(await bench.rows(WORK, payment.external_id)) == 20
    await bench.confirm()
    assert bench.xendit.calls == ["get"] * 20
    assert await bench.anomalies(payment.order_id) == ["unconfirmed"] * 30
    await bench.invoice()
    assert await bench.callback(await bench.payment(payment.order_id)) is Outcome.PAID


@pytest.mark.parametrize("confirm", [True, False])
async def test_a_bounded_number_of_callbacks_waits_for_an_order(bench: Bench, *, confirm: bool) -> None:
    bench = bench.other(xendit_confirm_payments=confirm)
    order_id, ahead = bench.new_id(), await bench.invoiced()
    for _ in range(2):
        for number in range(30):
            early = bench.about(ahead, "EXPIRED", invoice_id=f"made-up-{number}", external_id=f"order-{order_id}")
            await bench.receive(early)
    waiting = "SELECT count(*) AS n FROM payment_callbacks WHERE external_id = $1 AND outcome = 'waiting'"
    assert await bench.rows(waiting, f"order-{order_id}") == [{"n": 20}]
    assert await bench.anomalies(order_id) == ["unknown_invoice"] * 30
    payment = await bench.order(order_id)
    assert await bench.rows(waiting, payment.external_id) == [{"n": 0}]
    assert len(await bench.rows(WORK, payment.external_id)) == (20 if confirm else 0)


async def test_a_callback_beyond_the_bound_is_confirmed_when_it_is_sent_again(bench: Bench) -> None:
    order_id, ahead = bench.new_id(), await bench.invoiced()
    fields = {"external_id": f"order-{order_id}"}
    for number in range(20):
        await bench.receive(bench.about(ahead, invoice_id=f"made-up-{number}", **fields))
    true = bench.about(ahead, invoice_id=f"true-{order_id}", **fields)
    for _ in range(2):
        assert await bench.receive(true) is not Outcome.CONFIRMING
    await bench.order(order_id)
    await bench.execute("DELETE FROM payment_confirmations")
    bench.xendit.agree(true)
    assert await bench.receive(true) is Outcome.CONFIRMING
    await bench.confirm()
    payment = await bench.payment(order_id)
    assert (payment.status, payment.invoice_id) == (Status.PAID, true.invoice_id)


async def test_a_flood_of_made_up_payments_of_an_invoice_is_bounded(bench: Bench) -> None:
    payment = await bench.invoiced()
    for number in range(110):
        await bench.receive(bench.about(payment, receipt=f"va_{number}"))
    await bench.callback(payment, receipt="va_0")
    assert (await bench.payment(payment.order_id)).status is Status.PAID
    kinds = await bench.anomalies(payment.order_id)
    assert kinds == ["paid_twice"] * 99
