"""Makes the invoice of a claimed payment request: look up, create, store; the one path of direct and batch mode."""

import asyncio

import structlog

from chassis import telemetry
from chassis.db.database import Database, Tx
from chassis.errors import NotFound
from chassis.failpoint import failpoint
from chassis.grpc.users import UserClient
from chassis.loops import backoff
from paymentfc.client.xendit import Draft, Xendit
from paymentfc.config import Settings
from paymentfc.errors import GatewayUnavailable, Refused
from paymentfc.model.callback import PAID_WORDS
from paymentfc.model.invoices import Invoice, belongs_to, can_serve, choose, has_amount_of
from paymentfc.model.payment import CLOSED, Payment, Reason, Status, external_id
from paymentfc.repository import audit, payments, requests
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.requests import Claim, RequestStatus
from paymentfc.service.settlement import close, close_invoice, settle

log = structlog.get_logger(__name__)

ACTOR = "scheduler"
# A worker gives up well before another one may take over, and soon enough for a clean stop within 20 s.
LEASE_S = 30.0
WORK_LIMIT_S = 10.0
BACKOFF_CAP_S = 30.0
# After a create whose predecessor may have succeeded late, look for its twin once more.
VERIFY_AFTER_S = 15.0


class CreateInvoice:
    """Claims payment requests and makes their invoices."""

    def __init__(
        self, db: Database, xendit: Xendit, users: UserClient, settings: Settings, *,
        wake_closings: asyncio.Event | None = None, lease_s: float = LEASE_S,
    ) -> None:  # fmt: skip
        self._db = db
        self._xendit = xendit
        self._users = users
        self._settings = settings
        self._wake_closings = wake_closings or asyncio.Event()
        self._lease_s = lease_s

    async def claim_new(self, limit: int) -> list[Claim]:
        """Claim requests that were never refused or failed."""
        return await requests.claim(self._db, [RequestStatus.PENDING], limit, self._lease_s)

    async def claim_retries(self, limit: int) -> list[Claim]:
        """Claim requests whose backoff is over."""
        statuses = [RequestStatus.FAILED, RequestStatus.VERIFY]
        return await requests.claim(self._db, statuses, limit, self._lease_s)

    async def claim_order(self, order_id: int) -> Claim | None:
        """Claim the request of one order now; None when it is done with or held."""
        return await requests.claim_order(self._db, order_id, self._lease_s)

    async def make(self, claim: Claim, limit_s: float = WORK_LIMIT_S) -> bool:
        """Work on a claimed request; True when nothing is left to do, False when it is to be tried again."""
        try:
            async with asyncio.timeout(min(limit_s, WORK_LIMIT_S, self._lease_s)):
                await self._make(claim)
            return True
        except Refused as error:
            await self._failed(claim, str(error), refused=True)
        except Exception as error:
            if not isinstance(error, GatewayUnavailable):
                log.warning("invoice not made", order_id=claim.order_id, exc_info=error)
            await self._failed(claim, f"{type(error).__name__}: {error}", refused=False)
        return False

    async def _make(self, claim: Claim) -> None:
        await failpoint("paymentfc.after_claim")
        payment = await payments.by_order(self._db, claim.order_id)
        if payment is None:
            raise RuntimeError(f"payment request {claim.id} has no payment")
        context = telemetry.extract({"traceparent": payment.traceparent} if payment.traceparent else {})
        with telemetry.tracer.start_as_current_span("create invoice", context=context):
            await self._ask(claim, payment)

    async def _ask(self, claim: Claim, payment: Payment) -> None:
        """Look up, create if nothing fits, store. Raises Refused, GatewayUnavailable and what the neighbours raise."""
        found: list[Invoice] = []
        if claim.attempts > 1:
            found = [
                invoice for invoice in await self._xendit.find(payment.external_id) if belongs_to(invoice, payment)
            ]
        if payment.is_open and payment.invoice_id is None and not any(can_serve(invoice, payment) for invoice in found):
            found = [await self._xendit.create(await self._draft(payment)), *found]
            await failpoint("paymentfc.after_create")
        if not await self._store(claim, found):
            raise Refused(200, "WRONG_ECHO", "Xendit made an invoice of another amount or currency")

    async def _draft(self, payment: Payment) -> Draft:
        order = await payments.order_of(self._db, payment.id)
        email = payment.user_email
        if email is None:
            try:
                email = (await self._users.get_user(payment.user_id)).email
                await payments.remember_email(self._db, payment.id, email)
            except NotFound:
                log.warning("payer is unknown, the invoice goes without e-mail", user_id=payment.user_id)
        duration = self._settings.invoice_duration_s
        return Draft(payment.external_id, payment.amount, payment.currency, duration, email, order.lines)

    async def _store(self, claim: Claim, found: list[Invoice]) -> bool:
        """Save the invoice, follow its status, have twins closed; False when none of them can be offered."""
        async with self._db.transaction() as tx:
            payment = await _reload(tx, claim.order_id)
            own = choose(found, payment)
            if own is not None:
                payment = await self._save(tx, claim, payment, own)
            for twin in found:
                if own is None or twin.id != own.id:
                    await self._refuse_twin(tx, payment, twin)
            if payment.is_open and payment.invoice_id is None:
                return False
            done = RequestStatus.CANCELLED if payment.invoice_id is None else RequestStatus.DONE
            # Whatever this attempt came to, a former one may take effect late: look for its invoice once more.
            last_look = claim.attempts > 1 and claim.status != RequestStatus.VERIFY
            await requests.finish(tx, claim, RequestStatus.VERIFY if last_look else done, again_in_s=VERIFY_AFTER_S)
        if len(found) > 1 or not payment.is_open:
            self._wake_closings.set()
        return True

    async def _save(self, tx: Tx, claim: Claim, payment: Payment, own: Invoice) -> Payment:
        url, expires_at = own.invoice_url, own.expiry_date
        if payment.is_open and not own.is_final and (url is None or expires_at is None):
            raise GatewayUnavailable("Xendit's invoice lacks invoice_url or expiry_date")
        if url and expires_at and await payments.save_invoice(tx, payment.id, own.id, url, expires_at):
            facts = {"invoice_id": own.id, "invoice_url": url, "attempts": claim.attempts}
            await audit.add(tx, AuditEvent.INVOICE_CREATED, payment, ACTOR, **facts)
        payment = await _reload(tx, claim.order_id)
        if payment.status in CLOSED:
            await close_invoice(tx, payment, own)
        settled = await settle(tx, payment, own.as_callback(payment.currency), ACTOR)
        await tx.publish(*settled.events)
        return await _reload(tx, claim.order_id)

    async def _refuse_twin(self, tx: Tx, payment: Payment, twin: Invoice) -> None:
        await close_invoice(tx, payment, twin)
        log.warning("surplus invoice", order_id=payment.order_id, invoice_id=twin.id, status=twin.status)
        if twin.status in PAID_WORDS or (payment.invoice_id is None and not has_amount_of(twin, payment)):
            settled = await settle(tx, payment, twin.as_callback(payment.currency), ACTOR)
            await tx.publish(*settled.events)

    async def _failed(self, claim: Claim, error: str, *, refused: bool) -> None:
        """Write back what went wrong; the last try closes the payment, so that compensation runs."""
        settings = self._settings
        failures = claim.tries + 1 if refused else claim.attempts
        wait_s = backoff(failures, settings.payment_retry_backoff_s, BACKOFF_CAP_S)
        async with self._db.transaction() as tx:
            payment = await _reload(tx, claim.order_id)
            wanted = payment.is_open and payment.invoice_id is None
            last_try = refused and claim.tries + 1 >= settings.payment_max_tries
            too_old = not refused and await requests.is_older_than(tx, payment.id, settings.invoice_give_up_s)
            status = RequestStatus.FAILED
            if payment.invoice_id is not None or claim.status == RequestStatus.VERIFY:
                status = RequestStatus.VERIFY
            elif last_try and claim.attempts == claim.tries + 1:
                # Each attempt was refused. One that was not may have made an invoice: then the look-ups go on.
                status = RequestStatus.EXHAUSTED
            if not await requests.postpone(tx, claim, status, error, wait_s, refused=refused):
                return
            if wanted and (last_try or too_old):
                reason = Reason.INVOICE_REFUSED if last_try else Reason.GATEWAY_UNAVAILABLE
                await tx.publish(*await close(tx, payment, Status.FAILED, reason, ACTOR))
            elif wanted:
                await payments.count_retry(tx, payment.id)
                await audit.add(tx, AuditEvent.PAYMENT_RETRIED, payment, ACTOR, attempts=claim.attempts, error=error)
        log.warning("invoice not made yet", order_id=claim.order_id, attempts=claim.attempts, error=error)


async def _reload(tx: Tx, order_id: int) -> Payment:
    payment = await payments.lock_order(tx, external_id(order_id))
    if payment is None:
        raise RuntimeError(f"order {order_id} has lost its payment")
    return payment
