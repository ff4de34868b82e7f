"""One live invoice per order, with failures of Xendit and the network, and with other workers."""

from decimal import Decimal

import pytest

from chassis.db.database import Database
from paymentfc.model.callback import Callback, Outcome
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Status
from paymentfc.repository.requests import RequestStatus
from testkit.proxy import Proxy

from .bench import Bench


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
        payment.external_id,
        Decimal(150000),
        "user3@example.com",
    )
    assert payment.user_email == "user3@example.com"
    assert bench.xendit.calls == ["create"]


async def test_order_created_twice_or_again_after_the_inbox_was_purged_makes_one_payment(bench: Bench) -> None:
    payment = await bench.order()
    await bench.execute("DELETE FROM inbox")
    assert await bench.order(payment.order_id, total="999") == payment
    await bench.invoice()
    assert len(bench.xendit.live(payment.external_id)) == 1


async def test_an_invoice_is_stored_however_slow_the_database_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paymentfc.usecase.create_invoice.WORK_LIMIT_S", 0.15)
    payment = await bench.order()
    async with Proxy(bench.settings.db_host, bench.settings.db_port) as proxy:
        settings = bench.settings.model_copy(update={"db_host": proxy.host, "db_port": proxy.port})
        slow = Bench(settings, Database(settings), bench.xendit, bench.users)
        [claim] = await slow.create.claim_new(1)
        # The fakes answer within the limit; no statement does.
        await proxy.delay(0.2)
        assert await slow.create.make(claim)
        await slow.db.close()
    assert (await bench.payment(payment.order_id)).invoice_url
    assert bench.xendit.calls == ["create"]


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
        bench.xendit.agree(callback)
        assert await bench.receive(callback) is Outcome.CONFIRMING
        await bench.confirm()

    bench.xendit.on_create = pay_at_once
    payment = await bench.invoiced()
    assert payment.status is Status.PAID
    assert payment.invoice_url is not None
    assert await bench.rows("SELECT 1 FROM invoice_closings") == []
    assert len(await bench.events(payment.order_id)) == 1


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
