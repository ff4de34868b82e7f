"""Batch mode and retries: one path for both modes, several replicas, backoff, and the end of the retries."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Payment, Status
from paymentfc.repository.requests import RequestStatus
from testkit import eventually

from .bench import Bench, drain
from .loops import replicas, running

MANY = 60
AGE = "UPDATE payments SET create_time = now() - $1 * interval '1 second'"
IN_BATCH, DIRECTLY = {"disable_create_invoice_directly": True}, {"disable_create_invoice_directly": False}


async def has_url(bench: Bench, payment: Payment) -> bool:
    return (await bench.payment(payment.order_id)).invoice_url is not None


async def count(bench: Bench, table_and_condition: str) -> int:
    return int((await bench.rows(f"SELECT count(*) AS n FROM {table_and_condition}"))[0]["n"])


async def test_directly_an_order_wakes_the_loop_and_in_batch_it_waits_for_the_interval(bench: Bench) -> None:
    batch, direct = bench.other(**IN_BATCH), bench.other(**DIRECTLY)
    async with running(batch):
        waiting = await batch.order()
        for _ in range(50):
            # A loop that was woken has its turn at each of these, and makes the invoice within a few.
            assert (await bench.request(waiting.order_id))["attempts"] == 0
    assert bench.xendit.calls == []
    async with running(direct):
        payment = await direct.order()
        await eventually(lambda: has_url(bench, payment))
    assert await has_url(bench, waiting), "the loop takes whatever is due, in whichever mode it came"
    third = await batch.order()
    async with running(batch, scheduler_pending_interval_s=0.05):
        await eventually(lambda: has_url(bench, third))


async def test_both_modes_store_the_same_request_and_take_the_same_path(bench: Bench) -> None:
    seen = []
    for mode in (DIRECTLY, IN_BATCH):
        service = bench.other(**mode)
        bench.xendit.calls.clear()
        bench.xendit.faults = ["commit_then_fail"]
        payment = await service.order()
        stored = await bench.request(payment.order_id)
        await service.invoice()
        await service.retry()
        made, done = await bench.payment(payment.order_id), await bench.request(payment.order_id)
        columns = ("status", "attempts", "tries", "retry_count", "last_error")
        facts = [{name: row[name] for name in columns} for row in (stored, done)]
        audits = await bench.audits(payment.order_id)
        seen.append((facts, audits, list(bench.xendit.calls), made.status, bool(made.invoice_url)))
        await bench.execute("UPDATE payment_requests SET status = 'DONE'")
    assert seen[0] == seen[1]
    assert seen[0][2] == ["create", "find"]


async def test_three_replicas_make_exactly_one_invoice_for_each_of_sixty_requests(bench: Bench) -> None:
    orders = [await bench.order() for _ in range(MANY)]
    async with replicas(bench) as services, AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(running(service, scheduler_pending_interval_s=0.05))

        async def all_done() -> bool:
            return await count(bench, "payment_requests WHERE status = 'DONE'") == MANY

        await eventually(all_done, 30)
    assert bench.xendit.calls == ["create"] * MANY
    assert sorted(draft.external_id for draft in bench.xendit.drafts) == sorted(o.external_id for o in orders)
    assert await count(bench, "payments WHERE invoice_url IS NOT NULL") == MANY
    assert await count(bench, "audit_outbox WHERE event = 'invoice.created'") == MANY


async def test_three_replicas_leave_one_live_invoice_for_each_of_sixty_requests_while_xendit_fails(
    bench: Bench,
) -> None:
    orders = [await bench.order() for _ in range(MANY)]
    bench.xendit.faults = ["commit_then_fail", "down", "", "busy", "commit_then_fail"] * 30
    quick = {"scheduler_pending_interval_s": 0.05, "scheduler_retry_interval_s": 0.05}
    async with replicas(bench) as services, AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(running(service, **quick))

        async def all_done() -> bool:
            await bench.execute("UPDATE payment_requests SET next_attempt_at = now() WHERE status = 'VERIFY'")
            return await count(bench, "payment_requests WHERE status = 'DONE'") == MANY

        await eventually(all_done, 60)
    for payment in orders:
        live = [invoice.id for invoice in bench.xendit.live(payment.external_id)]
        assert live == [(await bench.payment(payment.order_id)).invoice_id]
    assert await count(bench, "audit_outbox WHERE event = 'invoice.created'") == MANY
    assert await count(bench, "payment_requests WHERE tries > 0") == 0


async def test_the_request_of_a_replica_that_died_after_create_is_taken_over_when_its_lease_ends(bench: Bench) -> None:
    made = asyncio.Event()

    async def die(_: Invoice) -> None:
        made.set()
        await asyncio.Event().wait()

    bench.xendit.on_create = die
    payment = await bench.order()
    [claim] = await bench.create.claim_new(8)
    doomed = asyncio.create_task(bench.create.make(claim))
    await made.wait()
    doomed.cancel()
    await asyncio.gather(doomed, return_exceptions=True)
    bench.xendit.on_create = None

    async with replicas(bench) as (other, *_):
        assert await other.create.claim_new(8) == []
        await bench.execute("UPDATE payment_requests SET lease_until = now()")
        async with running(other, scheduler_pending_interval_s=0.05):
            await eventually(lambda: has_url(bench, payment))
    assert bench.xendit.calls == ["create", "find"]
    [live] = bench.xendit.live(payment.external_id)
    assert (await bench.payment(payment.order_id)).invoice_id == live.id


@pytest.mark.parametrize(("fault", "counted"), [("refuse", "tries"), ("down", "attempts")])
async def test_retries_back_off_exponentially_with_jitter_up_to_a_cap(bench: Bench, fault: str, counted: str) -> None:
    patient = bench.other(payment_retry_backoff_s=2, payment_max_tries=100)
    for _ in range(8):
        await patient.order()
    waits = []
    for failures in range(1, 8):
        bench.xendit.faults = [fault] * 8
        for claim in [*await patient.create.claim_new(8), *await patient.create.claim_retries(8)]:
            await patient.create.make(claim)
        # Both times are now() of one transaction, so that their difference is the backoff exactly.
        wait = "extract(epoch FROM next_attempt_at - update_time)::float8 AS wait_s"
        rows = await bench.rows(f"SELECT {counted} AS counted, {wait} FROM payment_requests")
        assert [row["counted"] for row in rows] == [failures] * 8
        waits.append([row["wait_s"] for row in rows])
        assert await patient.create.claim_retries(8) == []
        await bench.execute("UPDATE payment_requests SET next_attempt_at = now()")
    for expected, found in zip((2, 4, 8, 16, 30, 30, 30), waits, strict=True):
        assert expected * 0.79 < min(found) < max(found) < expected * 1.21
        assert len(set(found)) > 1


async def test_the_fourth_refusal_fails_the_payment_and_publishes_it_once_whoever_gets_it(bench: Bench) -> None:
    bench.xendit.faults = ["refuse", "", "refuse", "", "refuse", "", "refuse"]
    payment = await bench.order()
    async with replicas(bench) as services:
        for tries in range(1, 5):
            assert (await bench.payment(payment.order_id)).status is Status.PENDING
            await bench.execute("UPDATE payment_requests SET next_attempt_at = now()")
            claims = (drain(service.create.claim_new, service.create.make) for service in services)
            retries = (drain(service.create.claim_retries, service.create.make) for service in services)
            await asyncio.gather(*(claims if tries == 1 else retries))
            assert (await bench.request(payment.order_id))["tries"] == tries
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason, found.retry_count) == (Status.FAILED, "invoice_refused", 3)
    failed = {"order_id": payment.order_id, "status": "FAILED", "topic": "payment.failed", "reason": "invoice_refused"}
    assert await bench.events(payment.order_id) == [failed]
    assert await bench.audits(payment.order_id) == ["payment.created", *["payment.retried"] * 3, "payment.failed"]
    assert (await bench.request(payment.order_id))["status"] == RequestStatus.EXHAUSTED
    await bench.retry()
    assert bench.xendit.calls.count("create") == 4


async def test_an_outage_is_no_try_and_is_retried_until_the_order_is_too_old(bench: Bench) -> None:
    bench.xendit.faults = ["down"] * 14
    payment = await bench.invoiced()
    for _ in range(12):
        await bench.retry()
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    request = await bench.request(payment.order_id)
    assert (request["status"], request["tries"], request["attempts"]) == (RequestStatus.FAILED, 0, 13)
    await bench.execute(AGE, bench.settings.invoice_give_up_s + 1)
    await bench.retry()
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason) == (Status.FAILED, "gateway_unavailable")
    # What the timed-out creates left behind is still looked for.
    bench.xendit.put(payment.external_id, payment.amount)
    await bench.retry()
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []
    assert len(await bench.events(payment.order_id)) == 1


async def test_an_order_is_not_given_up_before_its_time(bench: Bench) -> None:
    bench.xendit.faults = ["down", "down"]
    payment = await bench.invoiced()
    await bench.execute(AGE, bench.settings.invoice_give_up_s - 60)
    await bench.retry()
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    await bench.retry()
    assert await has_url(bench, payment)


async def test_the_expiry_sweep_in_three_replicas_closes_each_payment_once(bench: Bench) -> None:
    made = [await bench.invoiced() for _ in range(20)]
    for payment in made:
        await bench.expire_locally(payment)
    bench.xendit.calls.clear()
    async with replicas(bench) as services:
        sweeps = (drain(service.checks.claim_past_expiry, service.checks.sweep) for service in services)
        assert sum(await asyncio.gather(*sweeps)) == 20
    assert bench.xendit.calls.count("expire") == 20
    for payment in made:
        assert [event["status"] for event in await bench.events(payment.order_id)] == ["EXPIRED"]
        assert (await bench.audits(payment.order_id)).count("payment.expired") == 1


async def test_a_sweep_that_lost_its_lease_still_closes_the_payment_once(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.expire_locally(payment)
    async with replicas(bench) as services:
        await asyncio.gather(*(service.checks.sweep(payment) for service in services))
    assert [event["status"] for event in await bench.events(payment.order_id)] == ["EXPIRED"]
    assert (await bench.audits(payment.order_id)).count("payment.expired") == 1


@pytest.mark.parametrize(
    ("at_xendit", "ends", "event"),
    [("PAID", Status.PAID, "PAID"), ("SETTLED", Status.PAID, "PAID"), ("EXPIRED", Status.EXPIRED, "EXPIRED")],
)
async def test_a_lost_webhook_is_made_up_for_by_the_status_check(
    bench: Bench, at_xendit: str, ends: Status, event: str
) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment, at_xendit))
    checks = bench.other().checks
    assert await drain(checks.claim_open, checks.check) == 0
    age = "UPDATE payments SET invoice_time = now() - $1 * interval '1 second'"
    await bench.execute(age, bench.settings.scheduler_status_min_age_s)
    assert sum(await asyncio.gather(*(drain(checks.claim_open, checks.check) for _ in range(3)))) == 1
    assert (await bench.payment(payment.order_id)).status is ends
    assert [found["status"] for found in await bench.events(payment.order_id)] == [event]
    assert await bench.anomalies(payment.order_id) == []


async def test_an_invoice_that_is_still_open_is_left_open_by_the_status_check(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.execute("UPDATE payments SET invoice_time = now() - interval '1 hour'")
    assert await drain(bench.checks.claim_open, bench.checks.check) == 1
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    assert bench.xendit.calls[-1:] == ["get"]
