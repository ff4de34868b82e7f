"""One live invoice per order, whatever Xendit, the network and other workers do in between."""

import asyncio
from decimal import Decimal

import pytest

from paymentfc.client.xendit import Invoice
from paymentfc.errors import InvoiceNotReady, PaymentClosed, PaymentNotFound
from paymentfc.model import Callback, Outcome, Status
from paymentfc.repository.requests import RequestStatus
from paymentfc.usecase.claimed import ClaimLoop
from paymentfc.usecase.request_invoice import RequestInvoice

from .conftest import Bench


async def test_an_order_gets_an_invoice_of_its_amount_for_its_payer(bench: Bench) -> None:
    payment = await bench.order()
    assert bench.wake.is_set()
    assert (payment.status, payment.invoice_url) == (Status.PENDING, None)
    await bench.invoice()
    payment = await bench.payment(payment.order_id)
    assert payment.invoice_url is not None
    assert payment.expires_at is not None
    draft = bench.xendit.drafts[0]
    assert (draft.external_id, draft.amount, draft.payer_email) == (
        payment.external_id, Decimal(150000), "user3@example.com",
    )  # fmt: skip
    assert payment.user_email == "user3@example.com"
    assert bench.xendit.calls == ["create"]


async def test_order_created_twice_or_again_after_the_inbox_was_purged_makes_one_payment(bench: Bench) -> None:
    payment = await bench.order()
    await bench.execute("DELETE FROM inbox")
    assert await bench.order(payment.order_id, total="999") == payment
    await bench.invoice()
    assert len(bench.xendit.live(payment.external_id)) == 1


async def test_batch_mode_only_leaves_out_the_wake_up(bench: Bench) -> None:
    batch = bench.other(disable_create_invoice_directly=True)
    payment = await batch.order()
    assert not batch.wake.is_set()
    await batch.invoice()
    assert (await bench.payment(payment.order_id)).invoice_url


async def test_a_create_that_commits_but_fails_is_found_and_not_made_twice(bench: Bench) -> None:
    bench.xendit.faults = ["commit_then_fail"]
    payment = await bench.invoiced()
    assert payment.invoice_url is None
    await bench.retry()
    assert (await bench.payment(payment.order_id)).invoice_id == bench.xendit.live(payment.external_id)[0].id
    assert bench.xendit.calls == ["create", "find"]


async def test_a_twin_that_a_slow_create_left_behind_is_found_and_expired(bench: Bench) -> None:
    bench.xendit.faults = ["down"]
    payment = await bench.invoiced()
    await bench.retry()
    stored = (await bench.payment(payment.order_id)).invoice_id
    bench.xendit.put(payment.external_id, payment.amount)
    assert (await bench.request(payment.order_id))["status"] == RequestStatus.VERIFY
    await bench.retry()
    await bench.close_invoices()
    assert [invoice.id for invoice in bench.xendit.live(payment.external_id)] == [stored]
    assert (await bench.request(payment.order_id))["status"] == RequestStatus.DONE


async def test_the_webhook_may_come_before_create_returns(bench: Bench) -> None:
    async def pay_at_once(made: Invoice) -> None:
        callback = Callback(made.id, made.external_id, "PAID", made.amount, made.amount, "IDR")
        assert await bench.receive(callback, "{}", None) is Outcome.PAID

    bench.xendit.on_create = pay_at_once
    payment = await bench.invoiced()
    assert payment.status is Status.PAID
    assert payment.invoice_url is not None
    assert len(await bench.events(payment.order_id)) == 1


async def test_three_workers_make_one_invoice_for_each_of_a_hundred_requests(bench: Bench) -> None:
    orders = [await bench.order() for _ in range(100)]
    workers = [bench.other() for _ in range(3)]
    done = await asyncio.gather(*(ClaimLoop("w", w.create.claim_new, w.create.make).drain() for w in workers))
    assert sum(done) == 100
    assert bench.xendit.calls.count("create") == 100
    assert {len(bench.xendit.live(payment.external_id)) for payment in orders} == {1}


async def test_the_claim_of_a_killed_worker_ends_with_its_lease_and_looks_up_first(bench: Bench) -> None:
    payment = await bench.order()
    assert len(await bench.create.claim_new(8)) == 1
    assert await bench.create.claim_new(8) == []
    bench.xendit.put(payment.external_id, payment.amount)
    await bench.execute("UPDATE payment_requests SET lease_until = now() - interval '1 s'")
    await bench.invoice()
    assert bench.xendit.calls == ["find"]
    assert (await bench.payment(payment.order_id)).invoice_id == bench.xendit.live(payment.external_id)[0].id


async def test_a_worker_that_lost_its_lease_leaves_one_live_invoice(bench: Bench) -> None:
    async def be_overtaken() -> None:
        await bench.execute("UPDATE payment_requests SET lease_until = now() - interval '1 s'")
        await bench.invoice()

    bench.xendit.before_create = be_overtaken
    payment = await bench.invoiced()
    assert len(bench.xendit.live(payment.external_id)) == 2
    await bench.close_invoices()
    live = bench.xendit.live(payment.external_id)
    assert [invoice.id for invoice in live] == [(await bench.payment(payment.order_id)).invoice_id]


async def test_four_refusals_fail_the_payment_and_publish_it(bench: Bench) -> None:
    bench.xendit.faults = ["refuse", "", "refuse", "", "refuse", "", "refuse"]
    payment = await bench.invoiced()
    for _ in range(3):
        assert (await bench.payment(payment.order_id)).status is Status.PENDING
        await bench.retry()
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason, found.retry_count) == (Status.FAILED, "invoice_refused", 3)
    assert [event["status"] for event in await bench.events(payment.order_id)] == ["FAILED"]
    assert (await bench.request(payment.order_id))["status"] == RequestStatus.EXHAUSTED
    audits = await bench.audits(payment.order_id)
    assert audits == ["payment.created", *["payment.retried"] * 3, "payment.failed"]


async def test_an_outage_is_no_try_and_is_retried_until_the_order_is_too_old(bench: Bench) -> None:
    bench.xendit.faults = ["down"] * 8
    payment = await bench.invoiced()
    for _ in range(6):
        await bench.retry()
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    assert (await bench.request(payment.order_id))["tries"] == 0
    await bench.execute("UPDATE payments SET create_time = now() - interval '1 hour'")
    await bench.retry()
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason) == (Status.FAILED, "gateway_unavailable")
    # What the timed-out creates left behind is still looked for.
    bench.xendit.put(payment.external_id, payment.amount)
    await bench.retry()
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []
    assert len(await bench.events(payment.order_id)) == 1


async def test_an_invoice_of_another_amount_is_never_offered(bench: Bench) -> None:
    bench.xendit.faults = ["wrong_amount"]
    payment = await bench.invoiced()
    assert payment.invoice_url is None
    assert await bench.anomalies(payment.order_id) == ["amount_mismatch"]
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []
    await bench.retry()
    assert len(bench.xendit.live(payment.external_id)) == 1


async def test_without_userfc_the_invoice_waits_and_for_an_unknown_user_it_goes_without_email(bench: Bench) -> None:
    bench.users.away = True
    payment = await bench.invoiced(user_id=404)
    assert bench.xendit.calls == []
    bench.users.away = False
    await bench.retry()
    assert bench.xendit.drafts[0].payer_email is None
    assert (await bench.payment(payment.order_id)).invoice_url


async def test_asking_for_an_invoice_makes_it_now_and_gives_it_again(bench: Bench) -> None:
    ask = RequestInvoice(bench.db, bench.create)
    payment = await bench.order()
    answers = await asyncio.gather(*(ask(payment.order_id, user_id=3, admin=False) for _ in range(5)))
    assert len({answer.invoice_id for answer in answers}) == 1
    assert bench.xendit.calls == ["create"]
    with pytest.raises(PaymentNotFound):
        await ask(payment.order_id, user_id=4, admin=False)
    await bench.callback(answers[0])
    with pytest.raises(PaymentClosed):
        await ask(payment.order_id, user_id=4, admin=True)


async def test_asking_for_an_invoice_while_xendit_is_down_says_so(bench: Bench) -> None:
    payment = await bench.order()
    bench.xendit.faults = ["down"]
    with pytest.raises(InvoiceNotReady):
        await RequestInvoice(bench.db, bench.create)(payment.order_id, user_id=3, admin=False)
