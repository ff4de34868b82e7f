"""A customer requests the invoice of an order: the live one, or one that is made now."""

import asyncio
import time
from collections import Counter
from contextlib import suppress

from chassis import telemetry
from chassis.auth.tokens import Principal
from chassis.db.database import Database
from paymentfc.errors import InvoiceNotReady, PaymentClosed, PaymentDisputed
from paymentfc.model.payment import Payment
from paymentfc.repository import payments
from paymentfc.repository.standing import Standing, of_payment
from paymentfc.usecase.check_invoices import CheckInvoices
from paymentfc.usecase.create_invoice import CreateInvoice

# For the whole request, waiting for another worker included: together with a worker's own limit it fits into the
# time of a stop.
LIMIT_S = 8.0
# A call of Xendit that starts with less time left would be cut off, and its result unknown.
ENOUGH_S = 3.0
POLL_S, MAX_POLL_S = 0.1, 1.0
# Requests that wait for Xendit, of one process and of one customer: each holds one of the places of the process.
WAITING, WAITING_OF_ONE = 64, 8


class RequestInvoice:
    """Gives customers their invoices. Its state is how many requests of each customer wait for Xendit."""

    def __init__(self, db: Database, create: CreateInvoice, checks: CheckInvoices) -> None:
        self._db = db
        self._create = create
        self._checks = checks
        self._waiting: Counter[int] = Counter()

    async def __call__(self, caller: Principal, order_id: int) -> Payment:
        """Return the open payment with its invoice, within 8 s.

        Raises PaymentNotFound (unknown, or another user's), PaymentClosed, PaymentDisputed when the invoice was paid
        with a wrong amount, and InvoiceNotReady while Xendit cannot make an invoice, or too many wait for it.
        """
        telemetry.about_order(order_id)
        payment, standing = await self._look(caller, order_id)
        if payment.invoice_url and not (standing.overdue or standing.disputed):
            return payment
        if self._waiting.total() >= WAITING or self._waiting[caller.user_id] >= WAITING_OF_ONE:
            raise InvoiceNotReady
        self._waiting[caller.user_id] += 1
        try:
            return await self._wait(caller, order_id)
        finally:
            self._waiting -= Counter([caller.user_id])

    async def _look(self, caller: Principal, order_id: int) -> tuple[Payment, Standing]:
        payment = await payments.of_caller(self._db, order_id, caller)
        if not payment.is_open:
            raise PaymentClosed(order_id, payment.status)
        return payment, await of_payment(self._db, payment.id)

    async def _wait(self, caller: Principal, order_id: int) -> Payment:
        deadline, poll_s = time.monotonic() + LIMIT_S, POLL_S
        while True:
            payment, standing = await self._look(caller, order_id)
            overdue = standing.overdue
            if await _is_disputed(self._checks, payment, standing):
                raise PaymentDisputed(order_id)
            if payment.invoice_url and not overdue:
                return payment
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise InvoiceNotReady
            done = await (_sweep(self._checks, order_id, left_s) if overdue else _make(self._create, order_id, left_s))
            if done is None:
                await asyncio.sleep(poll_s)
                poll_s = min(poll_s * 2, MAX_POLL_S)
            elif not done:
                deadline = 0.0


async def _is_disputed(checks: CheckInvoices, payment: Payment, standing: Standing) -> bool:
    """Whether money of a wrong amount has come, or the sweep found a contradiction. Xendit may refute the first."""
    if standing.overdue:
        return standing.held
    return standing.disputed and not await checks.can_be_paid(payment)


async def _make(create: CreateInvoice, order_id: int, left_s: float) -> bool | None:
    """Make the invoice. False: it failed. None: another worker holds the request, or its backoff is not over."""
    claim = await create.claim_order(order_id) if left_s >= ENOUGH_S else None
    return None if claim is None else await create.make(claim, left_s)


async def _sweep(checks: CheckInvoices, order_id: int, left_s: float) -> bool | None:
    """Close or pay a payment past its expiry, as Xendit says. None: another worker has claimed it."""
    claimed = await checks.claim_past_expiry(1, order_id)
    for payment in claimed:
        with suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await checks.sweep(payment)
    return False if claimed else None
