"""The contents of an invoice's PDF: our own records, and the payer's name from userfc."""

import structlog

from chassis.auth.tokens import Principal
from chassis.db.database import Database
from chassis.errors import NotFound, Unavailable
from chassis.grpc.users import UserClient
from paymentfc.errors import InvoiceNotFound
from paymentfc.model.document import InvoiceDocument, InvoiceLine
from paymentfc.model.payment import Payment
from paymentfc.repository import payments
from paymentfc.repository.payments import Order

log = structlog.get_logger(__name__)


async def describe_invoice(db: Database, users: UserClient, caller: Principal, order_id: int) -> InvoiceDocument:
    """Describe the invoice of an order.

    Raises PaymentNotFound (unknown, or another user's) and InvoiceNotFound before the first invoice.
    """
    payment = await payments.of_caller(db, order_id, caller)
    if payment.invoice_id is None:
        raise InvoiceNotFound(order_id)
    order = await payments.order_of(db, payment.id)
    name, email = await _payer(users, payment)
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


async def _payer(users: UserClient, payment: Payment) -> tuple[str, str]:
    """Return the payer's name and e-mail; without userfc the user's number and the e-mail stored with the payment."""
    try:
        user = await users.get_user(payment.user_id)
    except (NotFound, Unavailable) as error:
        log.warning("payer's name not available", user_id=payment.user_id, error=str(error))
        return f"Customer {payment.user_id}", payment.user_email or ""
    return user.name, user.email


def _lines(order: Order, payment: Payment) -> list[InvoiceLine]:
    """Return the order's lines; one line for the whole order where it has none, or one of them has no price."""
    if not order.lines or any(line.price is None for line in order.lines):
        return [InvoiceLine(f"Order {payment.order_id}", 1, payment.amount)]
    return [InvoiceLine(line.name or f"Product {line.product_id}", line.quantity, line.price) for line in order.lines]
