"""The contents of an invoice's PDF: our own records, and the payer's name from userfc."""

import structlog

from chassis.db.database import Database
from chassis.errors import NotFound, Unavailable
from chassis.grpc.users import User, UserClient
from paymentfc.model.document import InvoiceDocument, InvoiceLine
from paymentfc.model.payment import Payment
from paymentfc.repository import payments
from paymentfc.repository.payments import Order

log = structlog.get_logger(__name__)


async def describe_invoice(db: Database, users: UserClient, payment: Payment) -> InvoiceDocument:
    """Describe the invoice of a payment that has one."""
    if payment.invoice_id is None:
        raise ValueError(f"payment {payment.id} has no invoice")
    order = await payments.order_of(db, payment.id)
    payer = await _payer(users, payment)
    return InvoiceDocument(
        order_id=payment.order_id,
        status=payment.status,
        currency=payment.currency,
        total=payment.amount,
        lines=_lines(order, payment),
        customer=payer.name if payer else f"Customer {payment.user_id}",
        email=payer.email if payer else payment.user_email or "",
        address=order.shipping_address,
        payment_method=order.payment_method,
        invoice_id=payment.invoice_id,
        issued=order.invoice_time or payment.create_time,
        due=payment.expires_at,
        paid=payment.paid_at,
        complete=payer is not None,
    )


async def _payer(users: UserClient, payment: Payment) -> User | None:
    """Return the payer, or None if userfc does not know them or is away."""
    try:
        return await users.get_user(payment.user_id)
    except (NotFound, Unavailable) as error:
        log.warning("payer's name not available", user_id=payment.user_id, error=str(error))
        return None


def _lines(order: Order, payment: Payment) -> list[InvoiceLine]:
    """Return the order's lines; one line for the whole order where it has none, or one of them has no price."""
    if not order.lines or any(line.price is None for line in order.lines):
        return [InvoiceLine(f"Order {payment.order_id}", 1, payment.amount)]
    return [InvoiceLine(line.name or f"Product {line.product_id}", line.quantity, line.price) for line in order.lines]
