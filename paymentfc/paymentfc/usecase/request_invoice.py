"""A customer requests the invoice of an order: the live one, or one that is made now."""

import asyncio
import time
from contextlib import suppress

from chassis.auth.tokens import Principal
from chassis.db.database import Database
from paymentfc.errors import InvoiceNotReady, PaymentClosed
from paymentfc.model.payment import Payment
from paymentfc.repository import payments
from paymentfc.usecase.check_invoices import CheckInvoices
from paymentfc.usecase.create_invoice import CreateInvoice

# For the whole request, waiting for another worker included: together with a worker's own limit it fits into the
# time of a stop.
LIMIT_S = 8.0
# A call of Xendit that starts with less time left would be cut off, and its result unknown.
ENOUGH_S = 3.0
POLL_S = 0.1


async def request_invoice(
    db: Database, create: CreateInvoice, checks: CheckInvoices, caller: Principal, order_id: int
) -> Payment:
    """Return the open payment with its invoice, within 8 s.

    Raises PaymentNotFound (unknown, or another user's), PaymentClosed, and InvoiceNotReady while Xendit cannot make
    an invoice.
    """
    deadline = time.monotonic() + LIMIT_S
    while True:
        payment = await payments.of_caller(db, order_id, caller)
        if not payment.is_open:
            raise PaymentClosed(order_id, payment.status)
        overdue = await payments.is_past_expiry(db, payment.id)
        if payment.invoice_url and not overdue:
            return payment
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise InvoiceNotReady
        done = await (_sweep(checks, order_id, left_s) if overdue else _make(create, order_id, left_s))
        if done is None:
            await asyncio.sleep(POLL_S)
        elif not done:
            deadline = 0.0


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
