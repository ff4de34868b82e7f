"""Asks Xendit about the invoice of a callback before it takes effect: a token that leaked must not move money."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from chassis import telemetry
from chassis.batching import Batches
from chassis.db.database import Database, Tx
from chassis.events import Event
from chassis.failpoint import failpoint
from chassis.loops import backoff
from paymentfc.client.xendit import Xendit
from paymentfc.errors import GatewayUnavailable, Refused
from paymentfc.events import succeeded
from paymentfc.model.callback import AnomalyKind, Outcome, unconfirmed
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Payment, Status
from paymentfc.repository import anomalies, audit, callbacks, confirmations, payments
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.callbacks import Stored
from paymentfc.repository.confirmations import Confirmation
from paymentfc.repository.paying import Paying, pay
from paymentfc.repository.together import can_be_made_apart
from paymentfc.service.settlement import TRANSITIONS, Applied, apply_callback, judge, paid_facts, plain_payment, record

log = structlog.get_logger(__name__)

ACTOR = "xendit"
LEASE_S = 30.0
# Two backoffs: without an answer (AWAY), and after an answer that contradicts the callback (DENIED), because Xendit
# may lag behind its own callback.
AWAY_BACKOFF_S, AWAY_BACKOFF_CAP_S = 1.0, 30.0
DENIED_BACKOFF_S, DENIED_BACKOFF_CAP_S = 1.0, 3600.0
GIVE_UP_S = 3 * 86_400.0
CONFIRMED = "Xendit has confirmed it since"
NO_SUCH_INVOICE, NO_ANSWER = "no such invoice", "no answer"


@dataclass(slots=True)
class ConfirmCallbacks:
    """Claims invoices with unconfirmed callbacks and reads them at Xendit. `wake` wakes the loop that does so.

    Payments that wait to be paid share a statement.
    """

    db: Database
    xendit: Xendit
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _paying: Batches[Paying, bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        run = partial(pay, self.db, note=CONFIRMED)
        self._paying = Batches(run, can_be_made_apart, apart=lambda paying: paying.external_id)

    async def claim(self, limit: int) -> list[Confirmation]:
        return await confirmations.claim(self.db, limit, LEASE_S)

    async def confirm(self, item: Confirmation) -> None:
        """Read the invoice once and apply each callback that it confirms."""
        with telemetry.work_span("confirm callback", item.traceparent, item.external_id):
            await self._confirm(item)

    async def _confirm(self, item: Confirmation) -> None:
        invoice, word = None, NO_SUCH_INVOICE
        try:
            invoice = await self.xendit.get(item.invoice_id)
            word = invoice.status
        except (Refused, GatewayUnavailable) as error:
            if not (isinstance(error, Refused) and error.no_such_invoice):
                if await self._is_postponed(item, error):
                    return
                word = NO_ANSWER
        if invoice is not None and await self._pay(item, invoice):
            return
        async with self.db.transaction() as tx:
            payment = await payments.lock_order(tx, item.external_id)
            if payment is None:
                return
            events = await self._judge(tx, item, payment, invoice, word)
            await tx.publish(*events)
            await failpoint("paymentfc.before_commit")

    async def _pay(self, item: Confirmation, invoice: Invoice) -> bool:
        """Fast path: pay an open payment, in a batched statement.

        Returns False, without any change, if the general path has to apply the callback.
        """
        payment, stored = item.payment, item.first
        callback = plain_payment(payment, stored.callback, invoice) if payment and stored else None
        if payment is None or stored is None or callback is None:
            return False
        taken, event = replace(payment, receipt=callback.receipt), succeeded(payment)
        entry = audit.values(AuditEvent.PAYMENT_PAID, ACTOR, **paid_facts(payment, callback))
        await failpoint("paymentfc.before_commit")
        if not await self._paying.submit(Paying(item, taken, stored, event, entry)):
            return False
        self.db.wake_relay()
        TRANSITIONS.labels(Status.PAID.value, "").inc()
        log.info("callback applied", order_id=payment.order_id, outcome=Outcome.PAID, confirmed=True)
        return True

    async def _is_postponed(self, item: Confirmation, error: Exception) -> bool:
        """Schedule another look. Returns False after GIVE_UP_S, because Xendit may never answer for a forged id."""
        log.warning("callback not confirmed yet", invoice_id=item.invoice_id, error=str(error))
        async with self.db.transaction() as tx:
            if await confirmations.is_older_than(tx, item, GIVE_UP_S):
                return False
            wait_s = backoff(item.looks, AWAY_BACKOFF_S, AWAY_BACKOFF_CAP_S)
            await confirmations.postpone(tx, item, wait_s, str(error))
        return True

    async def _judge(
        self, tx: Tx, item: Confirmation, payment: Payment, invoice: Invoice | None, word: str
    ) -> list[Event]:
        """Apply the callbacks that wait for this invoice, in the order of arrival, and return the events to publish.

        `word` is the status that Xendit reports, NO_SUCH_INVOICE or NO_ANSWER.
        """
        events: list[Event] = []
        denied = []
        for at, stored in enumerate(await callbacks.confirming(tx, item.invoice_id, item.external_id)):
            if at > 0:
                payment = await payments.read_again(tx, payment)
            applied = await _apply(tx, payment, stored, invoice)
            if applied is None:
                denied.append(stored)
            else:
                events += applied.events
        if denied:
            await self._deny(tx, item, payment, denied, word)
        else:
            await confirmations.remove(tx, item)
        return events

    async def _deny(self, tx: Tx, item: Confirmation, payment: Payment, denied: Sequence[Stored], word: str) -> None:
        wait_s = backoff(item.looks, DENIED_BACKOFF_S, DENIED_BACKOFF_CAP_S)
        if not await confirmations.postpone(tx, item, wait_s, f"Xendit says {word}"):
            return
        for stored in denied:
            await record(tx, unconfirmed(stored.callback, word), stored.callback, payment, ACTOR)
        if await confirmations.is_older_than(tx, item, GIVE_UP_S):
            for stored in denied:
                await callbacks.set_outcome(tx, stored, Outcome.UNCONFIRMED)
            await confirmations.remove(tx, item)
        log.warning("Xendit contradicts a callback", invoice_id=item.invoice_id, order_id=payment.order_id, says=word)


async def _apply(tx: Tx, payment: Payment, stored: Stored, invoice: Invoice | None) -> Applied | None:
    """Apply a callback that Xendit confirms, or that no longer changes the payment.

    Returns None if it must not be applied.
    """
    confirmed = invoice is not None and invoice.confirms(stored.callback)
    callback = stored.callback
    if invoice is not None and confirmed:
        callback = invoice.as_confirmed(callback, payment.currency)
    elif (await judge(tx, payment, callback)).needs_confirmation:
        return None
    applied = await apply_callback(tx, payment, callback, ACTOR)
    await callbacks.set_outcome(tx, stored, applied.outcome)
    if confirmed:
        settled = [AnomalyKind.UNCONFIRMED]
        if applied.outcome is not Outcome.ANOMALY:
            settled.append(AnomalyKind.UNKNOWN_INVOICE)
        await anomalies.settle(tx, stored.callback.invoice_id, settled, CONFIRMED)
    log.info("callback applied", order_id=payment.order_id, outcome=applied.outcome, confirmed=confirmed)
    return applied
