"""One invoice paid more than once: each further payment is an anomaly, and a repeat is none."""

from decimal import Decimal

import pytest

from paymentfc.model.callback import Outcome
from paymentfc.model.payment import Status

from .bench import Bench

SHOWN = "SELECT kind, expected, received FROM payment_anomalies WHERE external_id = $1 ORDER BY id"
MODES = pytest.mark.parametrize("confirm", [True, False])


def twice(number: int, amount: int = 150_000) -> dict[str, str]:
    return {"kind": "paid_twice", "expected": "va_1", "received": f"va_{number} {amount}"}


@MODES
async def test_each_further_payment_is_an_anomaly_and_moves_nothing(bench: Bench, *, confirm: bool) -> None:
    bench = bench.other(xendit_confirm_payments=confirm)
    payment = await bench.invoiced()
    for number in (1, 2, 3, 2, 1):
        await bench.callback(payment, receipt=f"va_{number}")
    assert await bench.rows(SHOWN, payment.external_id) == [twice(2), twice(3)]
    found = await bench.payment(payment.order_id)
    assert (found.status, found.receipt) == (Status.PAID, "va_1")
    assert len(await bench.events(payment.order_id)) == 1
    assert (await bench.audits(payment.order_id)).count("payment.anomaly") == 2


@MODES
async def test_the_same_payment_reported_again_is_a_repeat(bench: Bench, *, confirm: bool) -> None:
    bench = bench.other(xendit_confirm_payments=confirm)
    payment = await bench.invoiced()
    for status in ("PAID", "PAID", "SETTLED"):
        await bench.callback(payment, status, receipt="va_1")
    assert await bench.anomalies(payment.order_id) == []


@MODES
async def test_callbacks_that_name_no_payment_are_repeats(bench: Bench, *, confirm: bool) -> None:
    bench = bench.other(xendit_confirm_payments=confirm)
    payment = await bench.invoiced()
    for receipt in (None, "va_1", None, "va_1"):
        await bench.callback(payment, receipt=receipt)
    assert await bench.anomalies(payment.order_id) == []
    await bench.callback(payment, receipt="va_2")
    assert await bench.rows(SHOWN, payment.external_id) == [twice(2)]


async def test_two_payments_at_once_are_told_apart_by_what_xendit_names(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment, receipt="va_1"))
    for number in (2, 1):
        await bench.receive(bench.about(payment, receipt=f"va_{number}"))
    await bench.confirm()
    assert (await bench.payment(payment.order_id)).receipt == "va_1"
    assert await bench.rows(SHOWN, payment.external_id) == [twice(2)]


@MODES
async def test_a_further_payment_of_another_amount_is_one_too(bench: Bench, *, confirm: bool) -> None:
    bench = bench.other(xendit_confirm_payments=confirm)
    payment = await bench.invoiced()
    await bench.callback(payment, receipt="va_1")
    for _ in range(2):
        await bench.callback(payment, receipt="va_2", paid_amount=Decimal(9))
    assert await bench.rows(SHOWN, payment.external_id) == [twice(2, 9)]


async def test_two_payments_after_the_end_are_both_in_sight_and_told_once(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, "EXPIRED")
    assert await bench.callback(payment, receipt="va_1") is Outcome.LATE
    await bench.callback(payment, receipt="va_2")
    assert await bench.anomalies(payment.order_id) == ["paid_after_close", "paid_twice"]
    assert [event["topic"] for event in await bench.events(payment.order_id)] == ["payment.failed", "payment.success"]


async def test_two_payments_of_the_same_wrong_amount_are_both_in_sight(bench: Bench) -> None:
    payment = await bench.invoiced()
    for number in (1, 2, 2):
        await bench.callback(payment, receipt=f"va_{number}", paid_amount=Decimal(149_999))
    assert await bench.anomalies(payment.order_id) == ["amount_mismatch", "paid_twice"]


async def test_two_payments_before_the_order_is_known_are_both_in_sight(bench: Bench) -> None:
    order_id, ahead = bench.new_id(), await bench.invoiced()
    early = {"invoice_id": f"early-{order_id}", "external_id": f"order-{order_id}"}
    for number in (1, 2):
        await bench.callback(ahead, receipt=f"va_{number}", **early)
    payment = await bench.order(order_id)
    await bench.confirm()
    assert (await bench.payment(order_id)).status is Status.PAID
    assert twice(2) in await bench.rows(SHOWN, payment.external_id)


async def test_a_wrong_payment_and_a_right_one_are_one_anomaly(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, receipt="va_1", paid_amount=Decimal(1))
    bench.xendit.change(payment.invoice_id, paid_amount=None, receipt=None, status="PENDING")
    assert await bench.callback(payment, receipt="va_2") is Outcome.PAID
    assert await bench.anomalies(payment.order_id) == ["amount_mismatch"]


async def test_a_payment_that_comes_while_the_first_one_still_waits_for_xendit_is_in_sight(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment, receipt="va_1"))
    assert await bench.receive(bench.about(payment, receipt="va_1")) is Outcome.CONFIRMING
    await bench.checks.check(payment)
    assert (await bench.payment(payment.order_id)).receipt == "va_1"
    assert await bench.receive(bench.about(payment, receipt="va_2")) is Outcome.CONFIRMING
    await bench.confirm()
    assert await bench.rows(SHOWN, payment.external_id) == [twice(2)]
