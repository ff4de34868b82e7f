"""Callbacks with the right token take effect only after Xendit has confirmed them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from paymentfc.errors import Refused
from paymentfc.model.callback import Outcome
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Payment, Status

from .bench import Bench

OPEN = "SELECT kind, expected, received FROM payment_anomalies WHERE external_id = $1 AND resolved_at IS NULL"
UNCONFIRMED = {"kind": "unconfirmed", "expected": "PENDING", "received": "PAID"}
WORK = "SELECT looks, last_error, due_at > now() AS later FROM payment_confirmations WHERE external_id = $1"


async def forge(bench: Bench, payment: Payment, status: str = "PAID", **fields: Any) -> None:
    """Receive a callback that Xendit knows nothing of, and look once."""
    assert await bench.receive(bench.about(payment, status, **fields)) is Outcome.CONFIRMING
    await bench.confirm()


@pytest.mark.parametrize("status", ["PAID", "SETTLED", "EXPIRED"])
async def test_a_forged_callback_moves_nothing_and_is_an_anomaly_once(bench: Bench, status: str) -> None:
    payment = await bench.invoiced()
    for _ in range(3):
        await forge(bench, payment, status)
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    assert await bench.events(payment.order_id) == []
    assert await bench.rows(OPEN, payment.external_id) == [UNCONFIRMED | {"received": status}]
    assert (await bench.audits(payment.order_id)).count("payment.anomaly") == 1


async def test_a_forged_callback_of_a_closed_order_publishes_no_money(bench: Bench) -> None:
    payment = await bench.invoiced()
    assert await bench.callback(payment, "EXPIRED") is Outcome.EXPIRED
    await forge(bench, payment)
    found = await bench.payment(payment.order_id)
    assert (found.status, found.late_paid_at) == (Status.EXPIRED, None)
    assert [event["topic"] for event in await bench.events(payment.order_id)] == ["payment.failed"]
    assert await bench.anomalies(payment.order_id) == ["unconfirmed"]


async def test_a_forged_callback_of_another_invoice_or_of_another_order_pays_nothing(bench: Bench) -> None:
    paid, open_ = await bench.invoiced(), await bench.invoiced()
    await bench.callback(paid)
    waiting = await bench.order()
    await forge(bench, waiting, invoice_id="no-such-invoice")
    other = await bench.order()
    foreign = bench.xendit.put("order-of-somebody-else", other.amount, "PAID", paid_amount=other.amount)
    await forge(bench, other, invoice_id=foreign.id)
    for payment in (open_, waiting, other):
        assert (await bench.payment(payment.order_id)).status is Status.PENDING
        assert await bench.events(payment.order_id) == []
    assert await bench.anomalies(waiting.order_id) == ["unconfirmed"]
    assert await bench.anomalies(other.order_id) == ["unconfirmed"]


async def test_a_callback_ahead_of_xendits_own_answer_is_looked_at_again_and_explains_itself(bench: Bench) -> None:
    payment = await bench.invoiced()
    await forge(bench, payment)
    assert await bench.rows(WORK, payment.external_id) == [
        {"looks": 1, "last_error": "Xendit says PENDING", "later": True}
    ]
    assert await bench.confirm() == 0
    bench.xendit.agree(bench.about(payment))
    await bench.confirm_later()
    assert (await bench.payment(payment.order_id)).status is Status.PAID
    assert await bench.rows(OPEN, payment.external_id) == []
    sql = "SELECT note FROM payment_anomalies WHERE external_id = $1"
    assert await bench.rows(sql, payment.external_id) == [{"note": "Xendit has confirmed it since"}]
    assert await bench.rows(WORK, payment.external_id) == []


async def test_the_true_callback_is_not_held_up_by_a_forged_one_before_it(bench: Bench) -> None:
    payment = await bench.invoiced()
    await forge(bench, payment, receipt="made-up")
    assert await bench.callback(payment, receipt="va_1") is Outcome.PAID
    assert await bench.rows(OPEN, payment.external_id) == [
        {"kind": "paid_twice", "expected": "va_1", "received": "made-up 150000"}
    ]


@pytest.mark.parametrize("words", [("EXPIRED", "PAID"), ("PAID", "EXPIRED"), ("EXPIRED", "SETTLED")])
@pytest.mark.parametrize(("truth", "end"), [("PAID", Status.PAID), ("EXPIRED", Status.EXPIRED)])
async def test_two_callbacks_that_wait_for_one_look_end_as_xendit_says(
    bench: Bench, words: tuple[str, str], truth: str, end: Status
) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment, truth))
    for word in words:
        await bench.receive(bench.about(payment, word))
    await bench.confirm()
    assert (await bench.payment(payment.order_id)).status is end
    # Money that Xendit does not show stays in sight, in either order; an end that money has overtaken does not.
    assert await bench.anomalies(payment.order_id) == ([] if end is Status.PAID else ["unconfirmed"])


async def test_a_forged_expiry_of_a_paid_invoice_pays_the_order(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment))
    await forge(bench, payment, "EXPIRED")
    assert (await bench.payment(payment.order_id)).status is Status.PAID


@pytest.mark.parametrize("fault", ["down", "busy", "refuse"])
async def test_while_xendit_can_not_be_asked_the_callback_waits_and_is_no_anomaly(bench: Bench, fault: str) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment))
    bench.xendit.faults = [fault]
    await bench.receive(bench.about(payment))
    await bench.confirm()
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    assert await bench.anomalies(payment.order_id) == []
    await bench.confirm_later()
    assert (await bench.payment(payment.order_id)).status is Status.PAID


async def test_the_usual_cost_of_a_payment_is_one_read_outside_of_any_transaction(bench: Bench) -> None:
    payment = await bench.invoiced()

    async def read(invoice_id: str) -> Invoice:
        held = (
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
        )
        assert await bench.rows(f"{held} AND pid <> pg_backend_pid()") == [{"n": 0}]
        reads.append(invoice_id)
        return bench.xendit.invoices[invoice_id]

    reads: list[str] = []
    bench.xendit.instead["get"] = read
    bench.xendit.agree(bench.about(payment))
    await asyncio.gather(*(bench.receive(bench.about(payment)) for _ in range(20)))
    assert await bench.confirm() == 1
    assert (await bench.payment(payment.order_id)).status is Status.PAID
    assert len(await bench.events(payment.order_id)) == 1
    assert reads == [payment.invoice_id]


async def test_a_claim_that_contradicts_xendit_for_days_is_given_up_and_stays_in_sight(bench: Bench) -> None:
    payment = await bench.invoiced()
    await forge(bench, payment)
    await bench.execute("UPDATE payment_confirmations SET create_time = now() - interval '4 days'")
    await bench.confirm_later()
    assert await bench.rows(WORK, payment.external_id) == []
    assert await bench.rows(OPEN, payment.external_id) == [UNCONFIRMED]
    bench.xendit.agree(bench.about(payment))
    assert await bench.receive(bench.about(payment)) is Outcome.CONFIRMING
    await bench.confirm()
    assert (await bench.payment(payment.order_id)).status is Status.PAID


async def test_a_callback_that_comes_during_the_look_is_judged_by_the_next_one(bench: Bench) -> None:
    payment = await bench.invoiced()

    async def read_before_the_expiry(invoice_id: str) -> Invoice:
        read = bench.xendit.invoices[invoice_id]
        bench.xendit.instead.clear()
        bench.xendit.agree(bench.about(payment, "EXPIRED"))
        await bench.receive(bench.about(payment, "EXPIRED"))
        return replace(read)

    bench.xendit.instead["get"] = read_before_the_expiry
    await bench.receive(bench.about(payment))
    [item] = await bench.confirmations.claim(1)
    await bench.confirmations.confirm(item)
    assert await bench.anomalies(payment.order_id) == []
    await bench.confirm()
    assert (await bench.payment(payment.order_id)).status is Status.EXPIRED


async def test_a_callback_before_its_order_is_confirmed_too(bench: Bench) -> None:
    order_id, ahead = bench.new_id(), await bench.invoiced()
    early = bench.about(ahead, invoice_id=f"early-{order_id}", external_id=f"order-{order_id}")
    assert await bench.receive(early) is Outcome.WAITING
    payment = await bench.order(order_id)
    await bench.confirm()
    assert (await bench.payment(order_id)).status is Status.PENDING
    assert sorted(await bench.anomalies(order_id)) == ["unconfirmed", "unknown_invoice"]
    bench.xendit.agree(early)
    await bench.invoice()
    assert (await bench.payment(order_id)).invoice_id == early.invoice_id
    assert bench.xendit.live(payment.external_id) == []
    await bench.confirm_later()
    assert (await bench.payment(order_id)).status is Status.PAID
    assert await bench.rows(OPEN, payment.external_id) == []


async def test_without_confirmation_a_callback_counts_as_it_comes(bench: Bench) -> None:
    trusting = bench.other(xendit_confirm_payments=False)
    payment = await bench.invoiced()
    assert await trusting.receive(bench.about(payment)) is Outcome.PAID
    assert bench.xendit.calls == ["create"]


async def test_an_unknown_answer_of_the_gateway_does_not_end_the_work(bench: Bench) -> None:
    async def odd(_: str) -> Invoice:
        raise Refused(401, "INVALID_API_KEY", "no")

    payment = await bench.invoiced()
    bench.xendit.instead["get"] = odd
    await bench.receive(bench.about(payment))
    await bench.confirm()
    assert [row["looks"] for row in await bench.rows(WORK, payment.external_id)] == [1]
