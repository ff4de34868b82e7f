"""order.created: stores the PENDING payment and the request for its invoice, and wakes the loop that makes it."""

import asyncio
from collections.abc import Sequence

from chassis.db.database import Database, Tx
from chassis.errors import Invalid, InvalidMessage
from chassis.events import Event
from chassis.message_scope import log_applied, message_scope
from chassis.money import check_amount
from paymentfc.config import Settings
from paymentfc.events import OrderCreated
from paymentfc.model.callback import Outcome
from paymentfc.model.payment import Status, external_id
from paymentfc.repository import anomalies, audit, callbacks, payments, requests
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.registration import Created, register
from paymentfc.service.confirmation import have_confirmed
from paymentfc.service.settlement import apply_callback, close, judge

ACTOR = "order.created"


async def register_payment(db: Database, settings: Settings, wake: asyncio.Event, run: Sequence[Created]) -> None:
    """Apply each event once, in their order. Raises InvalidMessage for an amount that no invoice can have.

    `wake` wakes the loop that makes invoices; in batch mode the loop finds the requests at its next interval.
    """
    for _, order in run:
        _check(order, settings.currency)
    # The amounts as the column will show them.
    entries = [audit.values(AuditEvent.PAYMENT_CREATED, ACTOR, amount=f"{order.total_amount:.2f}") for _, order in run]
    events: list[Event] = []
    async with db.transaction() as tx:
        await payments.lock_unknown(tx, [external_id(order.order_id) for _, order in run])
        registered = await register(tx, Settings.service, run, settings.currency, entries)
        for (message, order), overtaken in registered:
            if overtaken:
                with message_scope(message):
                    events += await _catch_up(tx, order.order_id, confirm=settings.xendit_confirm_payments)
        await tx.publish(*events)
    if registered and not settings.disable_create_invoice_directly:
        wake.set()
    for (message, order), _ in registered:
        log_applied(__name__, "payment registered", message, order_id=order.order_id)


def _check(order: OrderCreated, currency: str) -> None:
    if (order.currency or currency) != currency:
        raise InvalidMessage("unsupported_currency", f"currency {order.currency} is not {currency}")
    if order.total_amount <= 0:
        raise InvalidMessage("invalid_payload", "total_amount must be more than 0")
    try:
        check_amount(order.total_amount, currency)
    except Invalid as error:
        raise InvalidMessage("invalid_payload", f"total_amount: {error.message}") from error


async def _catch_up(tx: Tx, order_id: int, *, confirm: bool) -> list[Event]:
    """Take up an end and callbacks that arrived before the order, then request the invoice if one is needed."""
    payment = await payments.lock_payment(tx, order_id)
    events: list[Event] = []
    confirming = False
    reason = await payments.ended_as(tx, payment.order_id)
    if reason is not None:
        events += await close(tx, payment, Status.FAILED, reason, ACTOR)
    waiting = await callbacks.waiting(tx, payment.external_id)
    for stored in waiting:
        payment = await payments.read_again(tx, payment)
        if confirm and (await judge(tx, payment, stored.callback)).needs_confirmation:
            await have_confirmed(tx, payment, stored, ACTOR)
            await anomalies.attach(tx, payment, stored.callback.invoice_id, resolved=False)
            confirming = True
            continue
        applied = await apply_callback(tx, payment, stored.callback, ACTOR)
        await callbacks.set_outcome(tx, stored, applied.outcome)
        resolved = applied.outcome is not Outcome.ANOMALY
        await anomalies.attach(tx, payment, stored.callback.invoice_id, resolved=resolved)
        events += applied.events
    if reason is not None or waiting:
        payment = await payments.read_again(tx, payment)
    if payment.is_open:
        # The invoice of a callback exists: it is looked up before another one is made.
        await requests.add(tx, payment.id, payment.order_id, attempts=int(confirming))
    return events
