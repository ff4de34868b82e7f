"""Creates with an unknown result: whatever appears at Xendit later, at most one invoice is live."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from paymentfc.client.xendit import Draft
from paymentfc.errors import Refused
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Payment, Status
from paymentfc.repository.requests import RequestStatus

from .bench import Bench


async def settled(bench: Bench, payment: Payment) -> Payment:
    """Retry and close until nothing is due, and return the payment."""
    for _ in range(6):
        await bench.retry()
        await bench.close_invoices()
    return await bench.payment(payment.order_id)


async def live(bench: Bench, payment: Payment) -> list[str]:
    return [invoice.id for invoice in bench.xendit.live(payment.external_id)]


async def status(bench: Bench, payment: Payment) -> str:
    return str((await bench.request(payment.order_id))["status"])


async def step(bench: Bench, invoice: Invoice) -> str | None:
    rows = await bench.rows("SELECT step FROM invoice_closings WHERE invoice_id = $1", invoice.id)
    return str(rows[0]["step"]) if rows else None


def makes(bench: Bench, **fields: Any) -> Callable[[Draft], Awaitable[Invoice]]:
    async def create(draft: Draft) -> Invoice:
        return bench.xendit.put(draft.external_id, draft.amount, **fields)

    return create


async def test_an_invoice_whose_look_ups_are_refused_until_the_payment_fails_is_expired_when_they_answer(
    bench: Bench,
) -> None:
    bench.xendit.faults = ["commit_then_fail", *["refuse"] * 4]
    payment = await bench.invoiced()
    for _ in range(4):
        await bench.retry()
    assert (await bench.payment(payment.order_id)).status is Status.FAILED
    assert await status(bench, payment) == RequestStatus.FAILED
    found = await settled(bench, payment)
    assert await live(bench, payment) == []
    assert (found.status, found.reason) == (Status.FAILED, "invoice_refused")
    assert len(await bench.events(payment.order_id)) == 1


async def test_a_create_that_takes_effect_after_its_successors_leaves_one_live_invoice(bench: Bench) -> None:
    bench.xendit.faults = ["down", "", "commit_then_fail"]
    payment = await bench.invoiced()
    await bench.retry()
    await bench.retry()
    assert (await bench.payment(payment.order_id)).invoice_url
    bench.xendit.put(payment.external_id, payment.amount)
    found = await settled(bench, payment)
    assert await live(bench, payment) == [found.invoice_id]
    assert await status(bench, payment) == RequestStatus.DONE


async def test_a_late_twin_that_is_paid_is_money_to_give_back(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    payment = await bench.invoiced()
    await bench.retry()
    bench.xendit.put(payment.external_id, payment.amount, status="PAID", paid_amount=payment.amount)
    found = await settled(bench, payment)
    assert await bench.anomalies(payment.order_id) == ["unknown_invoice"]
    assert (found.status, await live(bench, payment)) == (Status.PENDING, [found.invoice_id])


async def test_a_create_that_takes_effect_after_its_payment_was_closed_is_expired(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    await bench.retry()
    bench.xendit.put(payment.external_id, payment.amount)
    await settled(bench, payment)
    assert await live(bench, payment) == []
    assert await status(bench, payment) == RequestStatus.DONE


async def test_the_last_look_for_a_closed_payment_ends_also_when_it_fails_in_between(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    await bench.retry()
    bench.xendit.faults = ["down", "refuse"]
    for _ in range(2):
        await bench.retry()
        assert await status(bench, payment) == RequestStatus.VERIFY
    await bench.retry()
    assert await status(bench, payment) == RequestStatus.CANCELLED


async def test_a_last_look_that_finds_nothing_is_no_refusal(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    payment = await bench.invoiced()
    await bench.retry()
    bench.xendit.invoices.clear()
    await bench.retry()
    request = await bench.request(payment.order_id)
    assert (request["status"], request["tries"], request["last_error"]) == ("DONE", 0, "GatewayUnavailable: down")


async def test_an_invoice_without_a_url_is_expired_when_its_payment_is_closed(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    bench.xendit.put(payment.external_id, payment.amount, invoice_url=None, expiry_date=None)
    await settled(bench, payment)
    assert await live(bench, payment) == []
    assert await status(bench, payment) == RequestStatus.DONE


@pytest.mark.parametrize("word", ["PENDING", "REQUIRES_ACTION"])
async def test_an_open_payment_is_not_done_with_an_invoice_that_nobody_can_open(bench: Bench, word: str) -> None:
    bench.xendit.instead["create"] = makes(bench, status=word, invoice_url=None)
    payment = await bench.invoiced()
    assert await status(bench, payment) == RequestStatus.FAILED
    [made] = bench.xendit.invoices.values()
    bench.xendit.change(made.id, status="PENDING", invoice_url="https://pay/late")
    assert (await settled(bench, payment)).invoice_url == "https://pay/late"
    assert len(bench.xendit.invoices) == 1


async def test_an_invoice_of_an_unknown_status_is_expired_when_its_payment_is_closed(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    odd = bench.xendit.put(payment.external_id, payment.amount, status="REQUIRES_ACTION")
    await bench.retry()
    assert await step(bench, odd) == "expire"


async def test_a_dead_invoice_of_a_closed_payment_is_looked_at_once_more(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    payment = await bench.invoiced()
    await bench.rejected(payment.order_id)
    dead = bench.xendit.put(payment.external_id, payment.amount, status="EXPIRED")
    await settled(bench, payment)
    assert await step(bench, dead) == "look_again"
    bench.xendit.change(dead.id, status="PAID", paid_amount=payment.amount)
    await bench.execute("UPDATE invoice_closings SET due_at = now()")
    await bench.close_invoices()
    assert await bench.anomalies(payment.order_id) == ["paid_after_close"]


async def test_an_invoice_that_died_before_the_customer_could_see_it_is_replaced(bench: Bench) -> None:
    bench.xendit.faults = ["commit_then_fail"]
    payment = await bench.invoiced()
    [dead] = bench.xendit.invoices.values()
    bench.xendit.change(dead.id, status="EXPIRED")
    found = await settled(bench, payment)
    assert (found.status, found.invoice_url is None) == (Status.PENDING, False)
    assert await live(bench, payment) == [found.invoice_id]
    assert await step(bench, dead) == "look_again"
    assert await bench.anomalies(payment.order_id) == []


async def test_money_for_an_invoice_that_was_replaced_is_money_to_give_back(bench: Bench) -> None:
    bench.xendit.faults = ["commit_then_fail"]
    payment = await bench.invoiced()
    [dead] = bench.xendit.invoices.values()
    bench.xendit.change(dead.id, status="EXPIRED")
    await settled(bench, payment)
    bench.xendit.change(dead.id, status="PAID", paid_amount=payment.amount)
    await bench.execute("UPDATE invoice_closings SET due_at = now()")
    await bench.close_invoices()
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    assert await bench.anomalies(payment.order_id) == ["unknown_invoice"]


async def test_a_refusal_that_can_not_be_stored_as_it_is_counts_all_the_same(bench: Bench) -> None:
    async def refuse(_: Draft) -> Invoice:
        raise Refused(400, "\x00", "binary \x00 and half a pair \ud800")

    bench.xendit.instead["create"] = refuse
    payment = await bench.invoiced()
    request = await bench.request(payment.order_id)
    assert (request["status"], request["tries"]) == ("FAILED", 1)
    assert request["last_error"] == "400 \ufffd: binary \ufffd and half a pair ?"
