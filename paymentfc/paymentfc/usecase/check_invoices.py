"""Asks Xendit about invoices and applies the answer: past expiry, open for long, to be expired, closed a day ago."""

import time

import structlog

from chassis.db.database import Database
from chassis.loops import backoff
from paymentfc.client.xendit import Xendit
from paymentfc.config import Settings
from paymentfc.errors import GatewayBusy, GatewayUnavailable, Refused
from paymentfc.model.callback import PENDING_WORD, Outcome
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Payment, Reason, Status
from paymentfc.repository import closings, payments
from paymentfc.repository.closings import Closing, Step
from paymentfc.service.settlement import DAY_S, apply_callback, apply_end, close

log = structlog.get_logger(__name__)

ACTOR = "scheduler"
LEASE_S = 30.0
CLOSING_BACKOFF_S, CLOSING_BACKOFF_CAP_S = 2.0, 60.0
# A status that nobody knows waits for an administrator; asking every few seconds does not help.
ANOMALY_WAIT_S = 3600.0


class CheckInvoices:
    """The expiry sweep, the status check and the closing of invoices. Without an answer of Xendit nothing changes.

    Its state is the pause of the status check after a 429.
    """

    def __init__(self, db: Database, xendit: Xendit, settings: Settings) -> None:
        self._db = db
        self._xendit = xendit
        self._settings = settings
        self._check_after = 0.0

    async def claim_past_expiry(self, limit: int, order_id: int | None = None) -> list[Payment]:
        return await payments.claim_past_expiry(self._db, limit, LEASE_S, order_id)

    async def claim_open(self, limit: int) -> list[Payment]:
        """Claim open invoices that are old enough to have lost a callback; none for one interval after a 429."""
        settings = self._settings
        if time.monotonic() < self._check_after:
            return []
        again_in_s = max(settings.scheduler_status_interval_s, 1)
        return await payments.claim_open_invoices(self._db, limit, again_in_s, settings.scheduler_status_min_age_s)

    async def claim_closings(self, limit: int) -> list[Closing]:
        return await closings.claim(self._db, limit, LEASE_S)

    async def sweep(self, payment: Payment) -> None:
        """Close or pay a payment past its expiry, as Xendit says; an invoice that is still open is expired there."""
        again_in_s = self._settings.scheduler_expiry_interval_s
        try:
            invoice = await self._xendit.get(payment.invoice_id or "")
            if invoice.status == PENDING_WORD:
                invoice = await self._expire(invoice.id)
            if await self._apply(payment.external_id, invoice, at_end=True) is Outcome.ANOMALY:
                await payments.sweep_later(self._db, payment.id, ANOMALY_WAIT_S)
        except Refused as error:
            if error.no_such_invoice:
                await self._close_unknown(payment)
                return
            await self._sweep_later(payment, error, again_in_s)
        except GatewayUnavailable as error:
            await self._sweep_later(payment, error, again_in_s)

    async def check(self, payment: Payment) -> None:
        try:
            invoice = await self._xendit.get(payment.invoice_id or "")
        except (Refused, GatewayUnavailable) as error:
            if isinstance(error, GatewayBusy):
                # What is left of Xendit's rate limit is for the sweep and the closings.
                self._check_after = time.monotonic() + self._settings.scheduler_status_interval_s
            log.warning("open invoice not checked", order_id=payment.order_id, error=str(error))
            return
        await self._apply(payment.external_id, invoice)

    async def close(self, closing: Closing) -> None:
        """Expire an invoice at Xendit, or read a closed one once more, so that late money is not lost."""
        expire = closing.step is Step.EXPIRE
        try:
            if not expire:
                invoice = await self._xendit.get(closing.invoice_id)
                expire = invoice.status == PENDING_WORD
            if expire:
                invoice = await self._expire(closing.invoice_id)
        except (Refused, GatewayUnavailable) as error:
            if isinstance(error, Refused) and error.no_such_invoice:
                await self._move(closing, Step.DONE)
                return
            wait_s = backoff(closing.attempts, CLOSING_BACKOFF_S, CLOSING_BACKOFF_CAP_S)
            await closings.postpone(self._db, closing, wait_s, str(error))
            log.warning("invoice not closed yet", invoice_id=closing.invoice_id, error=str(error))
            return
        await self._apply(closing.external_id, invoice, at_end=True)
        await self._move(closing, Step.LOOK_AGAIN if expire else Step.DONE)

    async def _expire(self, invoice_id: str) -> Invoice:
        """Expire an invoice. Whatever the answer of that call, the invoice's status afterwards counts."""
        try:
            invoice = await self._xendit.expire(invoice_id)
        except (Refused, GatewayUnavailable):
            invoice = await self._xendit.get(invoice_id)
        if invoice.status == PENDING_WORD:
            raise GatewayUnavailable("the invoice could not be expired")
        return invoice

    async def can_be_paid(self, payment: Payment) -> bool:
        """Whether Xendit says so; False without an answer."""
        try:
            return (await self._xendit.get(payment.invoice_id or "")).status == PENDING_WORD
        except (Refused, GatewayUnavailable) as error:
            log.warning("disputed invoice not checked", order_id=payment.order_id, error=str(error))
            return False

    async def _apply(self, external_id: str, invoice: Invoice, *, at_end: bool = False) -> Outcome:
        async with self._db.transaction() as tx:
            payment = await payments.lock_order(tx, external_id)
            if payment is None:
                return Outcome.NOTHING
            if at_end:
                applied = await apply_end(tx, payment, invoice, ACTOR)
            else:
                applied = await apply_callback(tx, payment, invoice.as_callback(payment.currency), ACTOR)
            await tx.publish(*applied.events)
        return applied.outcome

    async def _move(self, closing: Closing, step: Step) -> None:
        async with self._db.transaction() as tx:
            await closings.move(tx, closing, step, DAY_S)

    async def _close_unknown(self, payment: Payment) -> None:
        """Close a payment whose invoice Xendit does not have: it cannot be paid any more."""
        async with self._db.transaction() as tx:
            locked = await payments.lock_order(tx, payment.external_id)
            if locked is not None:
                await tx.publish(*await close(tx, locked, Status.EXPIRED, Reason.EXPIRED, ACTOR, at_gateway=True))

    async def _sweep_later(self, payment: Payment, error: Exception, wait_s: float) -> None:
        await payments.sweep_later(self._db, payment.id, wait_s)
        log.warning("expired payment waits for Xendit", order_id=payment.order_id, error=str(error))
