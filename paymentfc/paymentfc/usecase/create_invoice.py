"""Makes the invoice of a claimed payment request: look up, create, store. Direct and batch mode share this path."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from chassis import telemetry
from chassis.db.database import Database
from chassis.errors import NotFound
from chassis.failpoint import failpoint
from chassis.grpc.users import UserClient
from paymentfc.client.xendit import Draft, Xendit
from paymentfc.config import Settings
from paymentfc.errors import GatewayUnavailable, Refused
from paymentfc.model.invoices import Invoice, belongs_to, can_serve
from paymentfc.model.payment import Payment
from paymentfc.repository import payments, requests
from paymentfc.repository.requests import Claim, RequestStatus
from paymentfc.service.attempts import store_failure, store_invoices

log = structlog.get_logger(__name__)

# A worker gives up well before another one may take over, and soon enough for a clean stop within 20 s.
LEASE_S = 30.0
WORK_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class CreateInvoice:
    """Claims payment requests and makes their invoices. `wake_closings` wakes the loop that expires invoices."""

    db: Database
    xendit: Xendit
    users: UserClient
    settings: Settings
    wake_closings: asyncio.Event = field(default_factory=asyncio.Event)
    lease_s: float = LEASE_S

    async def claim_new(self, limit: int) -> list[Claim]:
        return await requests.claim(self.db, [RequestStatus.PENDING], limit, self.lease_s)

    async def claim_retries(self, limit: int) -> list[Claim]:
        return await requests.claim(self.db, [RequestStatus.FAILED, RequestStatus.VERIFY], limit, self.lease_s)

    async def claim_order(self, order_id: int) -> Claim | None:
        return await requests.claim_order(self.db, order_id, self.lease_s)

    async def make(self, claim: Claim, limit_s: float = WORK_LIMIT_S) -> bool:
        """Work on a claimed request; True when nothing is left to do, False when it is to be tried again."""
        try:
            async with asyncio.timeout(min(limit_s, WORK_LIMIT_S, self.lease_s)):
                await self._make(claim)
            return True
        except Refused as error:
            await self._store_failure(claim, str(error), refused=True)
        except Exception as error:
            if not isinstance(error, GatewayUnavailable):
                log.warning("invoice not made", order_id=claim.order_id, exc_info=error)
            await self._store_failure(claim, f"{type(error).__name__}: {error}", refused=False)
        return False

    async def _make(self, claim: Claim) -> None:
        await failpoint("paymentfc.after_claim")
        payment = await payments.by_order(self.db, claim.order_id)
        if payment is None:
            raise RuntimeError(f"payment request {claim.id} has no payment")
        context = telemetry.extract({"traceparent": payment.traceparent} if payment.traceparent else {})
        with telemetry.tracer.start_as_current_span("create invoice", context=context):
            await self._find_or_create(claim, payment)

    async def _find_or_create(self, claim: Claim, payment: Payment) -> None:
        """Look up, create if no invoice can serve, store. Raises Refused, GatewayUnavailable, and userfc's errors."""
        invoices: list[Invoice] = []
        if claim.attempts > 1:
            invoices = [one for one in await self.xendit.find(payment.external_id) if belongs_to(one, payment)]
        if payment.needs_invoice and not any(can_serve(invoice, payment) for invoice in invoices):
            invoices = [await self.xendit.create(await self._draft(payment)), *invoices]
            await failpoint("paymentfc.after_create")
        if not await self._store(claim, invoices):
            raise Refused(200, "WRONG_ECHO", "Xendit made an invoice of another amount or currency")

    async def _draft(self, payment: Payment) -> Draft:
        order = await payments.order_of(self.db, payment.id)
        email = payment.user_email
        if email is None:
            try:
                email = (await self.users.get_user(payment.user_id)).email
                await payments.remember_email(self.db, payment.id, email)
            except NotFound:
                log.warning("unknown payer, the invoice has no e-mail", user_id=payment.user_id)
        return Draft(
            external_id=payment.external_id,
            amount=payment.amount,
            currency=payment.currency,
            duration_s=self.settings.invoice_duration_s,
            payer_email=email,
            lines=order.lines,
        )

    async def _store(self, claim: Claim, invoices: Sequence[Invoice]) -> bool:
        async with self.db.transaction() as tx:
            stored = await store_invoices(tx, claim, invoices)
            await tx.publish(*stored.events)
        if stored.served and stored.closing:
            self.wake_closings.set()
        return stored.served

    async def _store_failure(self, claim: Claim, error: str, *, refused: bool) -> None:
        async with self.db.transaction() as tx:
            events = await store_failure(tx, self.settings, claim, error, refused=refused)
            if events is None:
                return
            await tx.publish(*events)
        log.warning("invoice not made yet", order_id=claim.order_id, attempts=claim.attempts, error=error)
