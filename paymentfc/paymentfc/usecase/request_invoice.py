"""A customer asks for the invoice of an order: the live one, or one made now."""

import asyncio
import time

from chassis.db import Database
from paymentfc.errors import InvoiceNotReady, PaymentClosed, PaymentNotFound
from paymentfc.model import Payment
from paymentfc.repository import payments
from paymentfc.usecase.create_invoice import CreateInvoice

# As long as a worker may need that holds the request already.
WAIT_S = 8.0
POLL_S = 0.1


class RequestInvoice:
    """The action behind POST /v1/payments/invoice."""

    def __init__(self, db: Database, create: CreateInvoice) -> None:
        self._db = db
        self._create = create

    async def __call__(self, order_id: int, *, user_id: int, admin: bool) -> Payment:
        """Give the open payment with its invoice.

        Raises PaymentNotFound (unknown, or another's), PaymentClosed, and InvoiceNotReady while Xendit can't make one.
        """
        deadline = time.monotonic() + WAIT_S
        while True:
            payment = await payments.by_order(self._db, order_id)
            if payment is None or not (admin or payment.user_id == user_id):
                raise PaymentNotFound(f"there is no payment for order {order_id}")
            if not payment.is_open:
                raise PaymentClosed(f"the payment of order {order_id} is {payment.status}")
            if payment.invoice_url:
                return payment
            if time.monotonic() > deadline:
                raise InvoiceNotReady("the invoice can't be made now, please try again")
            claim = await self._create.claim_order(order_id)
            if claim is None:
                await asyncio.sleep(POLL_S)
            elif not await self._create.make(claim):
                deadline = 0.0
