"""Makes the invoice of a claimed payment request: look up, create, store. Direct and batch mode share this path."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from chassis import telemetry
from chassis.batching import Batches
from chassis.db.database import Database
from chassis.errors import NotFound, Unavailable
from chassis.failpoint import failpoint
from paymentfc.client.payers import Payers
from paymentfc.client.xendit import Draft, Xendit
from paymentfc.config import Settings
from paymentfc.errors import GatewayUnavailable, Refused
from paymentfc.model.invoices import Invoice, belongs_to, can_serve, offered_as_made
from paymentfc.model.payment import Payment
from paymentfc.repository import audit, payments, requests
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.offers import Offer, offer
from paymentfc.repository.requests import Claim
from paymentfc.repository.together import can_be_made_apart
from paymentfc.service.attempts import ACTOR, invoice_facts, store_failure, store_invoices

log = structlog.get_logger(__name__)

# A worker gives up well before another one may take over, and soon enough for a clean stop within 20 s.
LEASE_S = 30.0
WORK_LIMIT_S = 10.0


@dataclass(slots=True)
class CreateInvoice:
    """Claims payment requests and makes their invoices. `wake_closings` wakes the loop that expires invoices."""

    db: Database
    xendit: Xendit
    payers: Payers
    settings: Settings
    wake_closings: asyncio.Event = field(default_factory=asyncio.Event)
    lease_s: float = LEASE_S
    # Invoices that wait to be stored share a statement.
    _offering: Batches[Offer, bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        run = partial(offer, self.db)
        self._offering = Batches(run, can_be_made_apart, apart=lambda offered: offered.external_id)

    async def claim_new(self, limit: int) -> list[Claim]:
        return await requests.claim_new(self.db, limit, self.lease_s)

    async def claim_retries(self, limit: int) -> list[Claim]:
        return await requests.claim_again(self.db, limit, self.lease_s)

    async def claim_order(self, order_id: int) -> Claim | None:
        return await requests.claim_order(self.db, order_id, self.lease_s)

    async def make(self, claim: Claim, limit_s: float = WORK_LIMIT_S) -> bool:
        """Work on a claimed request. Returns True if nothing is left to do, False if it has to be tried again.

        The limit is for the calls of Xendit and userfc. It does not hold for storing an invoice that Xendit has made:
        a slow database must not make an order fail.
        """
        with telemetry.work_span("create invoice", claim.payment.traceparent, claim.order_id) as span:
            try:
                await self._make(claim, min(limit_s, WORK_LIMIT_S, self.lease_s))
                return True
            except Exception as error:
                telemetry.mark_failed(span, error)
                if isinstance(error, Refused):
                    await self._store_failure(claim, str(error), refused=True)
                    return False
                if not isinstance(error, GatewayUnavailable):
                    log.warning("invoice not made", order_id=claim.order_id, exc_info=error)
                await self._store_failure(claim, f"{type(error).__name__}: {error}", refused=False)
            return False

    async def _make(self, claim: Claim, limit_s: float) -> None:
        await failpoint("paymentfc.after_claim")
        async with asyncio.timeout(limit_s):
            invoices = await self._find_or_create(claim)
        if not await self._store(claim, invoices):
            raise Refused(200, "WRONG_ECHO", "Xendit made an invoice of another amount or currency")

    async def _find_or_create(self, claim: Claim) -> list[Invoice]:
        """Look up, and create if no invoice can serve. Raises Refused, GatewayUnavailable, and userfc's errors."""
        payment = claim.payment
        invoices: list[Invoice] = []
        if claim.attempts > 1:
            invoices = [one for one in await self.xendit.find(payment.external_id) if belongs_to(one, payment)]
        if payment.needs_invoice and not any(can_serve(invoice, payment) for invoice in invoices):
            invoices = [await self.xendit.create(await self._draft(claim)), *invoices]
            await failpoint("paymentfc.after_create")
        return invoices

    async def _draft(self, claim: Claim) -> Draft:
        """Return the invoice to make. The last try omits optional fields: Xendit may have refused one of them."""
        payment = claim.payment
        bare = 0 < claim.tries == self.settings.payment_max_tries - 1
        return Draft(
            external_id=payment.external_id,
            amount=payment.amount,
            currency=payment.currency,
            duration_s=self.settings.invoice_duration_s,
            payer_email=None if bare else payment.user_email or await self._email(payment),
            lines=() if bare else payments.lines_of(claim.lines),
        )

    async def _email(self, payment: Payment) -> str | None:
        """Return the e-mail address, or None for an unknown user.

        If userfc is down, raises Unavailable until half of INVOICE_GIVE_UP_S has passed, and then returns None.
        """
        try:
            return await self.payers.email(payment.user_id)
        except NotFound:
            log.warning("unknown payer, the invoice has no e-mail", user_id=payment.user_id)
            return None
        except Unavailable:
            async with self.db.transaction() as tx:
                if not await requests.is_older_than(tx, payment.id, self.settings.invoice_give_up_s / 2):
                    raise
            log.warning("userfc is away, the invoice has no e-mail", order_id=payment.order_id)
            return None

    async def _store(self, claim: Claim, invoices: Sequence[Invoice]) -> bool:
        email = self.payers.known(claim.payment.user_id)
        if await self._offer(claim, invoices, email):
            return True
        async with self.db.transaction() as tx:
            stored = await store_invoices(tx, claim, invoices, email)
            await tx.publish(*stored.events)
        if stored.served and stored.closing:
            self.wake_closings.set()
        return stored.served

    async def _offer(self, claim: Claim, invoices: Sequence[Invoice], email: str | None) -> bool:
        """Fast path: batch the invoice of a first attempt. Returns False if the general path has to store it."""
        made = offered_as_made(invoices, claim.payment) if claim.attempts == 1 else None
        if made is None:
            return False
        entry = audit.values(AuditEvent.INVOICE_CREATED, ACTOR, **invoice_facts(claim, made))
        return await self._offering.submit(Offer(claim, made, email, entry))

    async def _store_failure(self, claim: Claim, error: str, *, refused: bool) -> None:
        async with self.db.transaction() as tx:
            email = self.payers.known(claim.payment.user_id)
            events = await store_failure(tx, self.settings, claim, error, refused=refused, email=email)
            if events is None:
                return
            await tx.publish(*events)
        log.warning("invoice not made yet", order_id=claim.order_id, attempts=claim.attempts, error=error)
