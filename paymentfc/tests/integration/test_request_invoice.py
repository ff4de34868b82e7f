"""A customer requests an invoice: the live one or a new one, in bounded time, never an expired one."""

import asyncio

import pytest

from chassis.db.database import Database
from paymentfc.client.xendit import Draft
from paymentfc.errors import InvoiceNotReady, PaymentClosed, PaymentNotFound
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Status
from paymentfc.repository.standing import Standing, of_payment
from paymentfc.usecase import request_invoice

from .bench import Bench


async def test_asking_for_an_invoice_makes_it_now_and_gives_it_again(bench: Bench) -> None:
    payment = await bench.order()
    answers = await asyncio.gather(*(bench.ask(payment.order_id) for _ in range(5)))
    assert len({answer.invoice_id for answer in answers}) == 1
    assert bench.xendit.calls == ["create"]
    with pytest.raises(PaymentNotFound):
        await bench.ask(payment.order_id, user_id=4)
    await bench.callback(answers[0])
    with pytest.raises(PaymentClosed):
        await bench.ask(payment.order_id, user_id=4, role="admin")


async def test_asking_for_an_invoice_while_xendit_is_down_says_so(bench: Bench) -> None:
    payment = await bench.order()
    bench.xendit.faults = ["down"]
    with pytest.raises(InvoiceNotReady):
        await bench.ask(payment.order_id)


async def test_asking_again_and_again_after_a_refusal_does_not_use_up_the_tries(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_invoice, "LIMIT_S", 0.2)
    monkeypatch.setattr(request_invoice, "ENOUGH_S", 0.1)
    patient = bench.other(payment_retry_backoff_s=20)
    payment = await patient.order()
    bench.xendit.faults = ["refuse", "", "refuse", "", "refuse", "", "refuse"]
    for _ in range(4):
        with pytest.raises(InvoiceNotReady):
            await patient.ask(payment.order_id)
    assert (await bench.request(payment.order_id))["tries"] == 1
    assert (await bench.payment(payment.order_id)).status is Status.PENDING


async def test_asking_while_xendit_hangs_ends_in_time_and_leaves_the_request_to_be_retried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: Draft) -> Invoice:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(request_invoice, "LIMIT_S", 0.3)
    monkeypatch.setattr(request_invoice, "ENOUGH_S", 0.1)
    bench.xendit.instead["create"] = hang
    payment = await bench.order()
    async with asyncio.timeout(10):
        with pytest.raises(InvoiceNotReady):
            await bench.ask(payment.order_id)
    request = await bench.request(payment.order_id)
    assert (request["status"], request["tries"], request["lease_token"]) == ("FAILED", 0, None)


async def test_what_is_left_of_the_time_after_waiting_for_another_worker_must_be_enough_to_begin(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_invoice, "LIMIT_S", 0.3)
    payment = await bench.order()
    with pytest.raises(InvoiceNotReady):
        await bench.ask(payment.order_id)
    assert bench.xendit.calls == []


@pytest.mark.parametrize(("at_xendit", "ends"), [("PENDING", Status.EXPIRED), ("PAID", Status.PAID)])
async def test_a_payment_past_its_expiry_is_settled_as_xendit_says_instead_of_giving_a_dead_link(
    bench: Bench, at_xendit: str, ends: Status
) -> None:
    payment = await bench.invoiced()
    bench.xendit.change(payment.invoice_id, status=at_xendit)
    await bench.expire_locally(payment)
    with pytest.raises(PaymentClosed, match=ends.value):
        await bench.ask(payment.order_id)
    assert (await bench.payment(payment.order_id)).status is ends
    assert bench.xendit.live(payment.external_id) == []


async def test_a_payment_past_its_expiry_waits_while_xendit_can_not_be_asked(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.expire_locally(payment)
    bench.xendit.faults = ["down"]
    with pytest.raises(InvoiceNotReady):
        await bench.ask(payment.order_id)
    assert (await bench.payment(payment.order_id)).status is Status.PENDING


async def test_a_sweep_that_hangs_does_not_hold_up_the_one_who_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: str) -> Invoice:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(request_invoice, "LIMIT_S", 0.3)
    payment = await bench.invoiced()
    await bench.expire_locally(payment)
    bench.xendit.instead["get"] = hang
    async with asyncio.timeout(10):
        with pytest.raises(InvoiceNotReady):
            await bench.ask(payment.order_id)


async def test_a_request_that_waits_looks_less_and_less_often(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    async def looked(db: Database, payment_id: int) -> Standing:
        looks.append(payment_id)
        return await of_payment(db, payment_id)

    monkeypatch.setattr(request_invoice, "of_payment", looked)
    monkeypatch.setattr(request_invoice, "LIMIT_S", 2)
    patient = bench.other(payment_retry_backoff_s=20)
    payment = await patient.order()
    bench.xendit.faults = ["refuse"]
    await patient.invoice()
    with pytest.raises(InvoiceNotReady):
        await patient.ask(payment.order_id)
    assert 3 <= len(looks) <= 8
