"""Receives one callback of Xendit: stored, and applied once Xendit has confirmed it and its payment exists."""

from functools import partial

import structlog

from chassis import telemetry
from chassis.batching import Batches
from chassis.db.database import Database, Tx
from paymentfc.model.callback import Anomaly, AnomalyKind, Callback, Outcome, paid_twice, would_end
from paymentfc.model.payment import Payment
from paymentfc.repository import callbacks, confirmations, payments, receipts
from paymentfc.repository.arrivals import Arrival, arrive
from paymentfc.repository.callbacks import Stored
from paymentfc.repository.together import can_be_made_apart
from paymentfc.service.confirmation import have_confirmed
from paymentfc.service.settlement import apply_callback, judge, record

log = structlog.get_logger(__name__)

ACTOR = "xendit"


class ReceiveCallback:
    """Receives callbacks. `confirm` says whether Xendit is asked about them. It keeps those that wait for a batch."""

    def __init__(self, db: Database, *, confirm: bool) -> None:
        self._db = db
        self._confirm = confirm
        run = partial(arrive, db)
        self._arriving: Batches[Arrival, int | None] = Batches(run, can_be_made_apart, apart=_order_of)

    async def __call__(self, callback: Callback, body: str, webhook_id: str | None) -> Outcome:
        """Store the callback with all its effects, or with the request to confirm it.

        Callbacks of the usual kind that wait together are stored by one statement. A repeated callback changes nothing,
        except that another payment of the invoice is recorded.
        """
        telemetry.about_order(callback.external_id)
        if self._confirm and would_end(callback):
            order_id = await self._arriving.submit(Arrival.of(callback, body, webhook_id))
            if order_id is not None:
                log.info("callback received", order_id=order_id, outcome=Outcome.CONFIRMING, status=callback.status)
                return Outcome.CONFIRMING
        return await _receive(self._db, callback, body, webhook_id, confirm=self._confirm)


def _order_of(arrival: Arrival) -> str:
    return arrival.external_id


async def _receive(db: Database, callback: Callback, body: str, webhook_id: str | None, *, confirm: bool) -> Outcome:
    """General path, for any callback."""
    async with db.transaction() as tx:
        payment = await payments.lock_order(tx, callback.external_id)
        stored = await callbacks.add(tx, callback, body, webhook_id)
        is_new_money = await receipts.add(tx, callback)
        if stored is None:
            return await _repeated(tx, payment, callback, is_new_money=is_new_money)
        if payment is None:
            unknown = Anomaly(AnomalyKind.UNKNOWN_INVOICE, "an order of ours", callback.external_id)
            await record(tx, unknown, callback, None, ACTOR)
            return await _wait(tx, stored)
        if confirm and (await judge(tx, payment, callback)).needs_confirmation:
            outcome = await have_confirmed(tx, payment, stored, ACTOR)
        else:
            applied = await apply_callback(tx, payment, callback, ACTOR)
            await callbacks.set_outcome(tx, stored, applied.outcome)
            await tx.publish(*applied.events)
            outcome = applied.outcome
    log.info("callback received", order_id=payment.order_id, outcome=outcome, status=callback.status)
    return outcome


async def _wait(tx: Tx, stored: Stored) -> Outcome:
    """Keep a callback until its payment exists.

    If more than MAX_WAITING wait for one order they are probably forged: mark this one UNCONFIRMED. Its anomaly is
    already recorded.
    """
    if not await callbacks.are_many(tx, stored.callback.external_id):
        return Outcome.WAITING
    await callbacks.set_outcome(tx, stored, Outcome.UNCONFIRMED)
    return Outcome.UNCONFIRMED


async def _repeated(tx: Tx, payment: Payment | None, callback: Callback, *, is_new_money: bool) -> Outcome:
    """Record another payment of the same amount, and have an unconfirmed callback confirmed now."""
    if payment is None:
        return Outcome.NOTHING
    has_room = await confirmations.has_room(tx, payment, callback.invoice_id)
    is_unconfirmed = has_room and await callbacks.confirm_again(tx, callback)
    if is_unconfirmed:
        await confirmations.add(tx, callback.invoice_id, callback.external_id)
    # While the payment is open, it is not known which payment of its invoice is the further one: Xendit's answer tells.
    if is_new_money and (payment.was_paid or not is_unconfirmed):
        await _record_further(tx, payment, callback)
    return Outcome.CONFIRMING if is_unconfirmed else Outcome.NOTHING


async def _record_further(tx: Tx, payment: Payment, callback: Callback) -> None:
    if payment.was_paid and payment.receipt is None:
        await payments.name_receipt(tx, payment.id, callback.receipt or "")
        return
    decision = await judge(tx, payment, callback)
    is_further = any(anomaly.kind is AnomalyKind.PAID_TWICE for anomaly in decision.anomalies)
    known = await receipts.of_invoice(tx, callback.invoice_id, callback.external_id)
    if is_further or (decision.anomalies and len(known) > 1):
        await record(tx, paid_twice(payment, callback), callback, payment, ACTOR)
