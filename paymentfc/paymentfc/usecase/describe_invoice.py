"""What the PDF of an invoice shows: our own records, and the payer's name as userfc knows it."""

import structlog

from chassis.db.database import Database
from chassis.errors import NotFound, Unavailable
from chassis.grpc.users import UserClient
from paymentfc.errors import PaymentNotFound
from paymentfc.model.document import InvoiceDocument, InvoiceLine
from paymentfc.model.payment import Payment
from paymentfc.repository import payments
from paymentfc.repository.payments import Order

log = structlog.get_logger(__name__)


class DescribeInvoice:
    """The action behind GET /v1/payments/invoice/{order_id}/pdf."""

    def __init__(self, db: Database, users: UserClient) -> None:
        self._db = db
        self._users = users

    async def __call__(self, order_id: int, *, user_id: int, admin: bool) -> InvoiceDocument:
        """Describe the invoice of an order. Raises PaymentNotFound before there is one, and for other people's."""
        payment = await payments.by_order(self._db, order_id)
        if payment is None or payment.invoice_id is None or not (admin or payment.user_id == user_id):
            raise PaymentNotFound(f"there is no invoice for order {order_id}")
        order = await payments.order_of(self._db, payment.id)
        name, email = await self._payer(payment)
        return InvoiceDocument(
            order_id=order_id,
            status=payment.status,
            currency=payment.currency,
            total=payment.amount,
            lines=_lines(order, payment),
            customer=name,
            email=email,
            address=order.shipping_address,
            payment_method=order.payment_method,
            invoice_id=payment.invoice_id,
            issued=order.invoice_time or payment.create_time,
            due=payment.expires_at,
            paid=payment.paid_at,
        )

    async def _payer(self, payment: Payment) -> tuple[str, str]:
        """Ask userfc for name and e-mail; without it the number and the e-mail that we remember have to do."""
        try:
            user = await self._users.get_user(payment.user_id)
        except (NotFound, Unavailable) as error:
            log.warning("the payer's name is not known now", user_id=payment.user_id, error=str(error))
            return f"Customer {payment.user_id}", payment.user_email or ""
        return user.name, user.email


def _lines(order: Order, payment: Payment) -> list[InvoiceLine]:
    """Give the order's lines; one for the whole order where its producer named none or left out a price."""
    if not order.lines or any(line.price is None for line in order.lines):
        return [InvoiceLine(f"Order {payment.order_id}", 1, payment.amount)]
    return [InvoiceLine(line.name or f"Product {line.product_id}", line.quantity, line.price) for line in order.lines]
