"""What all stores hold of one sound order, for each way in which an order can end."""

from datetime import datetime, timedelta

from chassis.ids import uuid7

from .pieces import LINES, TOTAL, USER, Ending, Row, Sample, anomaly_of, callback_of, invoice_of, refund_of

STATUS = {"paid": 2, "payment_failed": 3, "stock_rejected": 3, "customer": 3}

ENDINGS = {
    "open": Ending((), "PENDING", "TAKEN"),
    "paid": Ending(("paid",), "PAID", "TAKEN"),
    "expired": Ending(("payment_failed",), "EXPIRED", "RELEASED", "expired"),
    "refused by Xendit": Ending(("payment_failed",), "FAILED", "RELEASED", "invoice_refused", invoiced=False),
    "rolled back before it was taken": Ending(("payment_failed",), "EXPIRED", "TOMBSTONE", "expired"),
    "expired before it was rejected": Ending(("payment_failed",), "EXPIRED", "REJECTED", "expired"),
    "expired after it was rejected": Ending(("stock_rejected",), "EXPIRED", "REJECTED", "expired"),
    "rejected": Ending(("stock_rejected",), "FAILED", "REJECTED", "stock_rejected"),
    "paid, then rejected": Ending(("paid", "stock_rejected"), "PAID", "REJECTED"),
    "rejected, but paid": Ending(("stock_rejected", "paid"), "PAID", "REJECTED"),
    "expired, then paid": Ending(("payment_failed", "paid"), "EXPIRED", "RELEASED", "expired", late=True),
    "told paid, then expired": Ending(("paid", "payment_failed"), "EXPIRED", "RELEASED", "expired", late=True),
    "never taken, then paid": Ending(("payment_failed", "paid"), "EXPIRED", "TOMBSTONE", "expired", late=True),
    "expired and rejected, then paid": Ending(("payment_failed", "paid"), "EXPIRED", "REJECTED", "expired", late=True),
    "rejected, then paid": Ending(("stock_rejected", "paid"), "FAILED", "REJECTED", "stock_rejected", late=True),
    "cancelled": Ending(("customer",), "FAILED", "RELEASED", "order_cancelled"),
    "cancelled before it was taken": Ending(("customer",), "FAILED", "TOMBSTONE", "order_cancelled"),
    "cancelled, then paid": Ending(("customer", "paid"), "FAILED", "RELEASED", "order_cancelled", late=True),
    "cancelled while it was paid": Ending(("customer", "paid"), "PAID", "RELEASED"),
}


def sample(order_id: int, name: str, at: datetime) -> Sample:
    """Make an order that was placed at a time and ended within seconds."""
    made = Sample(order_id, ENDINGS[name], at)
    _order(made)
    _stock(made)
    _payment(made)
    _anomaly(made)
    return made


def _order(made: Sample) -> None:
    order_id, at = made.order_id, made.at
    ended = at + timedelta(seconds=4)
    status = 0
    made.add("orderfc", "order_history", order_id=order_id, status=0, cause="checkout", created_at=at)
    for number, cause in enumerate(made.ending.causes):
        status = 4 if number else STATUS[cause]
        then = ended + timedelta(seconds=number)
        made.add("orderfc", "order_history", order_id=order_id, status=status, cause=cause, created_at=then)
    made.add(
        "orderfc",
        "orders",
        id=order_id,
        user_id=USER,
        status=status,
        total_amount=TOTAL,
        total_qty=3,
        currency="IDR",
        payment_method="BANK_TRANSFER",
        shipping_address="Jalan 1",
        created_at=at,
        updated_at=ended,
    )
    _lines_and_key(made)
    made.publish(
        "order.created",
        0,
        user_id=USER,
        total_amount=int(TOTAL),
        currency="IDR",
        products=_products(),
        payment_method="X",
    )
    made.publish("stock.updated", 0, products=_products())
    if {"payment_failed", "customer"} & set(made.ending.causes):
        made.publish("stock.rollback", 4, products=_products())
    if "customer" in made.ending.causes:
        made.publish("order.cancelled", 4, reason="by mistake")


def _lines_and_key(made: Sample) -> None:
    order_id, at = made.order_id, made.at
    for product_id, quantity, price in LINES:
        made.add(
            "orderfc",
            "order_items",
            order_id=order_id,
            product_id=product_id,
            name="Kopi",
            quantity=quantity,
            price=price,
        )
    made.add(
        "orderfc",
        "idempotency_keys",
        user_id=USER,
        key=f"key-{order_id}",
        request_hash=bytes(32),
        lease_token=uuid7(),
        leased_until=at,
        order_id=order_id,
        created_at=at,
    )


def _products() -> list[Row]:
    return [{"product_id": product_id, "quantity": quantity} for product_id, quantity, _ in LINES]


def _stock(made: Sample) -> None:
    moment = made.at + timedelta(seconds=5)
    for product_id, quantity, _ in LINES:
        made.add(
            "productfc",
            "stock_ledger",
            order_id=made.order_id,
            product_id=product_id,
            quantity=quantity,
            state=made.ending.ledger,
            event_id=uuid7(),
            updated_at=moment,
        )
    if made.ending.ledger == "REJECTED":
        made.publish("stock.rejected", 1, products=_products(), reason="no stock")


def _payment(made: Sample) -> None:
    ending, order_id, at = made.ending, made.order_id, made.at
    paid = at + timedelta(seconds=3)
    invoice = (
        {"invoice_id": made.invoice_id, "invoice_url": "https://pay", "invoice_time": at} if ending.invoiced else {}
    )
    made.add(
        "paymentfc",
        "payments",
        id=order_id,
        order_id=order_id,
        user_id=USER,
        external_id=f"order-{order_id}",
        amount=TOTAL,
        currency="IDR",
        status=ending.payment,
        reason=ending.reason,
        payment_method="X",
        shipping_address="Y",
        invoice_id=invoice.get("invoice_id"),
        invoice_url=invoice.get("invoice_url"),
        invoice_time=invoice.get("invoice_time"),
        expires_at=at + timedelta(days=2) if ending.invoiced else None,
        paid_at=paid if ending.payment == "PAID" else None,
        late_paid_at=paid if ending.late else None,
        retry_count=0 if ending.invoiced else 3,
        create_time=at,
        update_time=paid,
        sweep_after=None,
    )
    _request_and_closing(made)
    if ending.payment == "PAID" or ending.late:
        made.publish("payment.success", 3, status="PAID", topic="payment.success")
        outcome = "paid" if ending.payment == "PAID" else "paid_after_close"
        made.add("paymentfc", "payment_callbacks", **callback_of(made, outcome))
    if made.closed and ending.reason not in ("stock_rejected", "order_cancelled"):
        made.publish("payment.failed", 3, status=ending.payment, topic="payment.failed", reason=ending.reason)
    _witnesses(made)


def _request_and_closing(made: Sample) -> None:
    ending, order_id, at = made.ending, made.order_id, made.at
    request = "DONE" if ending.invoiced else "EXHAUSTED"
    made.add(
        "paymentfc",
        "payment_requests",
        payment_id=order_id,
        order_id=order_id,
        status=request,
        next_attempt_at=at,
        update_time=at,
        lease_until=None,
    )
    if made.closed and ending.invoiced:
        made.add(
            "paymentfc",
            "invoice_closings",
            invoice_id=made.invoice_id,
            payment_id=order_id,
            external_id=f"order-{order_id}",
            step="done",
            due_at=at,
            done_at=at + timedelta(seconds=3),
            create_time=at + timedelta(seconds=3),
        )


def _witnesses(made: Sample) -> None:
    ending = made.ending
    made.audit("payment.created", 0)
    for _ in range(0 if ending.invoiced else 3):
        made.audit("payment.retried", 1)
    if ending.payment != "PENDING":
        made.audit(f"payment.{ending.payment.lower()}", 3)
    if ending.invoiced:
        made.audit("invoice.created", 1)
        status = {"PENDING": "PENDING", "PAID": "PAID"}.get(ending.payment, "EXPIRED")
        made.invoices.append(invoice_of(made, status, payments=int(ending.payment == "PAID" or ending.late)))


def _anomaly(made: Sample) -> None:
    if made.refund_due:
        made.audit("payment.anomaly", 3, kind="paid_after_close", invoice_id=made.invoice_id)
        made.add("paymentfc", "payment_anomalies", **anomaly_of(made, "paid_after_close"))
        for step in ("refund.due", "refund.settled"):
            made.audit(step, 4)
        made.add("paymentfc", "refunds", **refund_of(made))
