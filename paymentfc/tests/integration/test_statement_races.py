"""The one-statement paths when the payment changes between the beginning of the statement and its turn.

Such a statement reads as of its beginning; it must notice what was committed while it waited, and leave the case to the
longer path.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from chassis.db.database import Tx
from paymentfc.events import succeeded
from paymentfc.model.callback import Outcome
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Payment, Reason, Status
from paymentfc.repository import audit, callbacks, payments
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.paying import Paying, pay
from paymentfc.service import settlement
from paymentfc.service.confirmation import have_confirmed
from testkit import eventually

from .bench import Bench

WAITS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
OUTCOMES = "SELECT status, outcome, deliveries FROM payment_callbacks WHERE external_id = $1 ORDER BY id"
WORK = "SELECT invoice_id FROM payment_confirmations WHERE external_id = $1"
Change = Callable[[Tx, Payment], Awaitable[Any]]


async def meanwhile(bench: Bench, payment: Payment, work: Awaitable[Any], change: Change) -> Any:
    """Run `work` so that its statement has begun, and waits for the order, when `change` commits."""

    async def waits() -> bool:
        return bool(await bench.rows(WAITS))

    async with bench.db.transaction() as tx:
        locked = await payments.lock_payment(tx, payment.order_id)
        task = asyncio.ensure_future(work)
        await eventually(waits)
        await change(tx, locked)
    return await task


async def reject(tx: Tx, payment: Payment) -> None:
    await settlement.close(tx, payment, Status.FAILED, Reason.STOCK_REJECTED, "test")


async def topics(bench: Bench, payment: Payment) -> list[str]:
    return [event["topic"] for event in await bench.events(payment.order_id)]


async def told(bench: Bench) -> tuple[Payment, Any]:
    """Return a payment whose only callback waits for Xendit's word, and the claim on it."""
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment))
    assert await bench.receive(bench.about(payment)) is Outcome.CONFIRMING
    [item] = await bench.confirmations.claim(8)
    return payment, item


async def test_a_payment_that_is_closed_before_its_confirmation_has_its_turn_is_paid_late(bench: Bench) -> None:
    payment, item = await told(bench)
    await meanwhile(bench, payment, bench.confirmations.confirm(item), reject)
    found = await bench.payment(payment.order_id)
    assert (found.status, found.late_paid_at is None) == (Status.FAILED, False)
    assert await bench.anomalies(payment.order_id) == ["paid_after_close"]
    assert await topics(bench, payment) == ["payment.success"]
    assert await bench.rows(WORK, payment.external_id) == []


async def test_a_confirmation_whose_guards_do_not_hold_writes_nothing(bench: Bench) -> None:
    payment, item = await told(bench)
    entry = audit.values(AuditEvent.PAYMENT_PAID, "test")
    paying = pay(bench.db, [Paying(item, payment, item.first, succeeded(payment), entry)], note="")
    assert await meanwhile(bench, payment, paying, reject) == [False]
    assert [row["outcome"] for row in await bench.rows(OUTCOMES, payment.external_id)] == ["confirming"]
    assert len(await bench.rows(WORK, payment.external_id)) == 1
    assert await topics(bench, payment) == []
    assert "payment.paid" not in await bench.audits(payment.order_id)


async def test_a_payment_that_the_status_check_has_paid_meanwhile_is_paid_once(bench: Bench) -> None:
    async def check(tx: Tx, payment: Payment) -> None:
        applied = await settlement.apply_callback(tx, payment, bench.about(payment), "test")
        await tx.publish(*applied.events)

    payment, item = await told(bench)
    await meanwhile(bench, payment, bench.confirmations.confirm(item), check)
    assert await topics(bench, payment) == ["payment.success"]
    assert (await bench.audits(payment.order_id)).count("payment.paid") == 1
    assert [row["outcome"] for row in await bench.rows(OUTCOMES, payment.external_id)] == ["nothing"]
    assert await bench.rows(WORK, payment.external_id) == []


async def test_a_callback_that_comes_while_the_confirmation_waits_for_its_turn_is_judged_too(bench: Bench) -> None:
    async def settle(tx: Tx, payment: Payment) -> None:
        stored = await callbacks.add(tx, bench.about(payment, "SETTLED"), "{}", None)
        assert stored is not None
        await have_confirmed(tx, payment, stored, "test")

    payment, item = await told(bench)
    await meanwhile(bench, payment, bench.confirmations.confirm(item), settle)
    await bench.confirm_later()
    assert await topics(bench, payment) == ["payment.success"]
    assert [row["outcome"] for row in await bench.rows(OUTCOMES, payment.external_id)] == ["paid", "nothing"]
    assert await bench.rows(WORK, payment.external_id) == []


async def test_two_callbacks_that_wait_are_both_judged_by_one_look(bench: Bench) -> None:
    payment = await bench.invoiced()
    for word in ("PAID", "SETTLED"):
        bench.xendit.agree(bench.about(payment, word))
        await bench.receive(bench.about(payment, word))
    bench.xendit.calls.clear()
    assert await bench.confirm() == 1
    assert [row["outcome"] for row in await bench.rows(OUTCOMES, payment.external_id)] == ["paid", "nothing"]
    assert bench.xendit.calls == ["get"]


async def test_a_confirmation_that_lost_its_lease_leaves_the_work_to_its_new_holder(bench: Bench) -> None:
    payment, item = await told(bench)
    await bench.execute("UPDATE payment_confirmations SET due_at = now()")
    [again] = await bench.confirmations.claim(8)
    assert (again.due_at > item.due_at, again.looks) == (True, 2)
    await asyncio.gather(bench.confirmations.confirm(item), bench.confirmations.confirm(again))
    assert await topics(bench, payment) == ["payment.success"]
    assert (await bench.audits(payment.order_id)).count("payment.paid") == 1
    assert await bench.rows(WORK, payment.external_id) == []


async def test_a_callback_whose_payment_is_closed_before_its_turn_is_money_to_give_back(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment))
    assert await meanwhile(bench, payment, bench.receive(bench.about(payment)), reject) is Outcome.CONFIRMING
    await bench.confirm()
    assert await bench.anomalies(payment.order_id) == ["paid_after_close"]
    assert await topics(bench, payment) == ["payment.success"]


async def test_a_callback_that_overtakes_another_invoice_of_its_order_is_an_anomaly(bench: Bench) -> None:
    async def offer_another(tx: Tx, payment: Payment) -> None:
        await tx.driver().execute("UPDATE payments SET invoice_id = 'offered' WHERE id = $1", payment.id)

    payment = await bench.order()
    paid = bench.about(payment, invoice_id="other")
    assert await meanwhile(bench, payment, bench.receive(paid), offer_another) is Outcome.ANOMALY
    assert await bench.rows(WORK, payment.external_id) == []
    assert await bench.anomalies(payment.order_id) == ["unknown_invoice"]


async def test_a_callback_that_was_stored_before_its_turn_is_counted_again(bench: Bench) -> None:
    async def first(tx: Tx, payment: Payment) -> None:
        stored = await callbacks.add(tx, bench.about(payment), "{}", None)
        assert stored is not None
        await have_confirmed(tx, payment, stored, "test")

    payment = await bench.invoiced()
    assert await meanwhile(bench, payment, bench.receive(bench.about(payment)), first) is Outcome.CONFIRMING
    rows = await bench.rows(OUTCOMES, payment.external_id)
    assert rows == [{"status": "PAID", "outcome": "confirming", "deliveries": 2}]


@pytest.mark.parametrize("status", ["PAID", "SETTLED", "EXPIRED"])
async def test_a_callback_that_would_change_nothing_asks_xendit_nothing(bench: Bench, status: str) -> None:
    payment = await bench.invoiced()
    assert await bench.callback(payment) is Outcome.PAID
    bench.xendit.calls.clear()
    assert await bench.receive(bench.about(payment, status)) is Outcome.NOTHING
    assert await bench.rows(WORK, payment.external_id) == []
    assert bench.xendit.calls == []


@pytest.mark.parametrize(
    "fields", [{"amount": Decimal(149_999)}, {"paid_amount": Decimal(1)}, {"currency": "USD"}, {"invoice_id": "other"}]
)
async def test_a_callback_that_does_not_fit_is_an_anomaly_at_once(bench: Bench, fields: dict[str, Any]) -> None:
    payment = await bench.invoiced()
    assert await bench.receive(bench.about(payment, **fields)) is Outcome.ANOMALY
    assert await bench.rows(WORK, payment.external_id) == []
    assert len(await bench.anomalies(payment.order_id)) == 1


async def test_an_invoice_whose_payment_is_closed_before_its_turn_is_expired(bench: Bench) -> None:
    payment = await bench.order()
    [claim] = await bench.create.claim_new(8)
    assert await meanwhile(bench, payment, bench.create.make(claim), reject)
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []
    assert (await bench.payment(payment.order_id)).status is Status.FAILED


async def test_an_invoice_is_not_put_in_the_place_of_one_that_a_callback_has_brought(bench: Bench) -> None:
    async def pay_a_twin(made: Invoice) -> None:
        twin = bench.xendit.put(made.external_id, made.amount, "PAID", paid_amount=made.amount)
        payment = await bench.payment(order.order_id)
        assert await bench.receive(bench.about(payment, invoice_id=twin.id)) is Outcome.CONFIRMING
        await bench.confirm()

    order = await bench.order()
    bench.xendit.on_create = pay_a_twin
    await bench.invoice()
    found = await bench.payment(order.order_id)
    assert found.status is Status.PAID
    assert found.invoice_id != bench.xendit.live(order.external_id)[0].id
    await bench.close_invoices()
    assert bench.xendit.live(order.external_id) == []


async def test_a_worker_that_lost_its_lease_does_not_end_the_request_of_its_successor(bench: Bench) -> None:
    payment = await bench.order()
    [late] = await bench.create.claim_new(8)
    await bench.execute("UPDATE payment_requests SET lease_until = now()")
    [holder] = await bench.create.claim_new(8)
    assert await bench.create.make(late)
    request = await bench.request(payment.order_id)
    assert (request["status"], request["lease_token"]) == ("PENDING", holder.lease_token)
    assert await bench.create.make(holder)
    assert (await bench.request(payment.order_id))["status"] == "VERIFY"
