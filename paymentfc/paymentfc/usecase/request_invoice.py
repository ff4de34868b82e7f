"""A customer asks for the invoice of an order: the live one, or one made now."""

import asyncio
import time
from contextlib import suppress

from chassis.db.database import Database
from paymentfc.errors import InvoiceNotReady, PaymentClosed, PaymentNotFound
from paymentfc.model.payment import Payment
from paymentfc.repository import payments
from paymentfc.usecase.check_invoices import CheckInvoices
from paymentfc.usecase.create_invoice import CreateInvoice

# For all of it, waiting for another worker included: with a worker's own limit it fits into the time of a stop.
LIMIT_S = 8.0
# With less time left a call of Xendit would only be cut off, and its outcome unknown.
ENOUGH_S = 3.0
POLL_S = 0.1


class RequestInvoice:
    """The action behind POST /v1/payments/invoice."""

    def __init__(self, db: Database, create: CreateInvoice, checks: CheckInvoices) -> None:
        self._db = db
        self._create = create
        self._checks = checks

    async def __call__(self, order_id: int, *, user_id: int, admin: bool) -> Payment:
        """Give the open payment with its invoice, within 8 s.

        Raises PaymentNotFound (unknown, or another's), PaymentClosed, and InvoiceNotReady while Xendit can't make one.
        """
        deadline = time.monotonic() + LIMIT_S
        while True:
            payment = await payments.by_order(self._db, order_id)
            if payment is None or not (admin or payment.user_id == user_id):
                raise PaymentNotFound(f"there is no payment for order {order_id}")
            if not payment.is_open:
                raise PaymentClosed(f"the payment of order {order_id} is {payment.status}")
            overdue = await payments.is_past_expiry(self._db, payment.id)
            if payment.invoice_url and not overdue:
                return payment
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise InvoiceNotReady("the invoice can't be made now, please try again")
            done = await (self._sweep(order_id, left_s) if overdue else self._make(order_id, left_s))
            if done is None:
                await asyncio.sleep(POLL_S)
            elif not done:
                deadline = 0.0

    async def _make(self, order_id: int, left_s: float) -> bool | None:
        """Make the invoice; None when another worker is at it, or will be after a backoff."""
        claim = await self._create.claim_order(order_id) if left_s >= ENOUGH_S else None
        return None if claim is None else await self._create.make(claim, left_s)

    async def _sweep(self, order_id: int, left_s: float) -> bool | None:
        """Settle a payment whose link is dead, so that there is nothing more to wait for; None when another does."""
        claimed = await self._checks.claim_past_expiry(1, order_id)
        for payment in claimed:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._checks.sweep(payment)
        return False if claimed else None
