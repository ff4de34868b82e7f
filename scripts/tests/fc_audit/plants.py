"""One planted fault for every rule about an order: what is spoiled in a sound order, and what must be found."""

from datetime import timedelta
from decimal import Decimal

from .forgeries import FORGERIES
from .pieces import TOTAL
from .refund_plants import REFUNDS
from .spoil import (
    Plant,
    again,
    drop,
    forgotten_callback,
    last_step,
    ledger,
    look_again_tomorrow,
    lost_order,
    lost_payment,
    named_payments,
    neglected_callback,
    never_sent,
    no_anomaly,
    only_invoice,
    only_ledger,
    order,
    park,
    payment,
    published_before_written,
    refused_callback,
    same_id_in_another_outbox,
    says,
    seen,
    sent_under_another_key,
    sql,
    twin,
    unconfirmed_callback,
    undelivered,
    unresolved,
    without,
    written_again,
    wrong_amount,
)

PLANTS = {
    "a total that is not the sum": Plant(
        ("order_total", "payment_amount", "event_payload"), "paid", None, order("total_amount = total_amount + 1")
    ),
    "a wrong number of pieces": Plant(("order_quantity",), "paid", None, order("total_qty = 4")),
    "a forbidden step": Plant(("order_history",), "paid", last_step(cause="stock_rejected")),
    "a history that goes back in time": Plant(
        ("order_history",), "paid", lambda made: last_step(created_at=made.at - timedelta(hours=1))(made)
    ),
    "no history": Plant(("order_history",), "open", without("orderfc", "order_history")),
    "a status without its step": Plant(
        ("order_status", "order_payment", "stock_held"), "paid", None, order("status = 3")
    ),
    "a customer whom userfc does not know": Plant(
        ("order_user", "payment_user", "idempotency_key", "event_payload"), "paid", None, order("user_id = 4040")
    ),
    "a key of another user": Plant(
        ("idempotency_key",),
        "paid",
        None,
        sql("orderfc", "UPDATE idempotency_keys SET user_id = 8 WHERE order_id = $1"),
    ),
    "two keys of one order": Plant(
        ("idempotency_key",),
        "paid",
        lambda made: made.add(
            "orderfc",
            "idempotency_keys",
            **made.of("orderfc", "idempotency_keys")[0] | {"key": f"other-{made.order_id}"},
        ),
    ),
    "completed, but never paid": Plant(("order_payment", "order_status"), "open", None, order("status = 2")),
    "stock of a cancelled order": Plant(("stock_held",), "expired", None, ledger("state = 'TAKEN'")),
    "stock of a failed order": Plant(("stock_held",), "expired, then paid", None, ledger("state = 'TAKEN'")),
    "released stock of a completed order": Plant(("stock_taken",), "paid", None, ledger("state = 'RELEASED'")),
    "no stock taken": Plant(("stock_taken",), "open", without("productfc", "stock_ledger")),
    "paid, given back and failed": Plant(
        ("order_combination", "event_rejected"), "paid, then rejected", None, ledger("state = 'RELEASED'")
    ),
    "half of the stock given back": Plant(
        ("ledger_states", "stock_held"),
        "expired",
        None,
        sql("productfc", "UPDATE stock_ledger SET state = 'TAKEN' WHERE order_id = $1 AND product_id = 1"),
    ),
    "more stock than ordered": Plant(("ledger_lines",), "paid", None, ledger("quantity = quantity + 1")),
    "a ledger without an order": Plant(("ledger_order",), "open", only_ledger),
    "stock of a product that is not there": Plant(
        ("ledger_lines", "ledger_product"),
        "paid",
        None,
        sql("productfc", "UPDATE stock_ledger SET product_id = 999 WHERE order_id = $1 AND product_id = 2"),
    ),
    "an order without a payment": Plant(("payment_missing",), "open", lost_payment),
    "a payment without an order": Plant(("payment_order",), "open", lost_order),
    "a payment of another amount": Plant(
        ("payment_amount", "invoice_amount", "payment_received"), "paid", None, payment("amount = 149999")
    ),
    "a payment in another currency": Plant(
        ("payment_currency", "invoice_amount", "payment_received"), "paid", None, payment("currency = 'USD'")
    ),
    "a payment of another customer": Plant(("payment_user",), "paid", None, payment("user_id = 8")),
    "a payment under another name": Plant(("payment_name",), "paid", None, payment("external_id = 'x-' || order_id")),
    "paid at no time": Plant(("payment_columns", "event_success"), "paid", None, payment("paid_at = NULL")),
    "paid without an invoice": Plant(
        ("payment_columns", "payment_witness", "invoice_paid"), "paid", None, payment("invoice_id = NULL")
    ),
    "open, and nobody makes the invoice": Plant(
        ("payment_request",), "open", lambda made: seen(status="EXPIRED")(made), payment("invoice_id = NULL")
    ),
    "late money without an anomaly": Plant(
        ("late_payment", "refund_recorded", "invoice_paid", "callback_anomaly"), "expired, then paid", no_anomaly
    ),
    "an anomaly without late money": Plant(
        ("late_payment", "order_payment", "event_success", "refund_excess"),
        "expired, then paid",
        None,
        payment("late_paid_at = NULL"),
    ),
    "a failed order that nobody refunds": Plant(("refund_recorded",), "paid, then rejected", no_anomaly),
    "a forgotten callback": Plant(("callback_applied",), "open", forgotten_callback),
    "a refused callback that nobody is told of": Plant(("callback_anomaly",), "open", refused_callback),
    "an anomaly that waits for a person": Plant(("anomaly_open",), "expired, then paid", unresolved),
    "a request that nobody takes": Plant(
        ("request_overdue",),
        "open",
        None,
        sql("paymentfc", "UPDATE payment_requests SET status = 'VERIFY' WHERE order_id = $1"),
    ),
    "a payment that is not swept": Plant(("expiry_overdue",), "open", None, payment("expires_at = create_time")),
    "an invoice that is not closed": Plant(
        ("closing_overdue",),
        "expired",
        None,
        sql("paymentfc", "UPDATE invoice_closings SET step = 'expire', done_at = NULL WHERE payment_id = $1"),
    ),
    "a closing done at no time": Plant(
        ("closing_overdue",),
        "expired",
        None,
        sql("paymentfc", "UPDATE invoice_closings SET done_at = NULL WHERE payment_id = $1"),
    ),
    "no order.created": Plant(("event_checkout", "event_ghost"), "paid", None, drop("orderfc", "order.created")),
    "two stock.updated": Plant(("event_checkout",), "paid", again("stock.updated")),
    "no stock.rollback": Plant(("event_rollback", "event_ghost"), "expired", None, drop("orderfc", "stock.rollback")),
    "two stock.rollback": Plant(("event_rollback",), "expired", again("stock.rollback")),
    "stock.rollback although stock was rejected": Plant(
        ("event_rollback",), "rejected", lambda made: made.publish("stock.rollback", 4)
    ),
    "no payment.success": Plant(("event_success", "event_ghost"), "paid", None, drop("paymentfc", "payment.success")),
    "two payment.success": Plant(("event_success",), "paid", again("payment.success")),
    "payment.success of an open payment": Plant(
        ("event_success",), "open", lambda made: made.publish("payment.success", 3)
    ),
    "no payment.failed": Plant(("event_failed", "event_ghost"), "expired", None, drop("paymentfc", "payment.failed")),
    "payment.failed although stock was rejected": Plant(
        ("event_failed",), "rejected", lambda made: made.publish("payment.failed", 3)
    ),
    "no order.cancelled": Plant(
        ("event_cancelled", "event_ghost"), "cancelled", None, drop("orderfc", "order.cancelled")
    ),
    "order.cancelled of an order that nobody cancelled": Plant(
        ("event_cancelled",), "expired", lambda made: made.publish("order.cancelled", 4)
    ),
    "paid and cancelled, but the stock is kept": Plant(
        ("stock_held",), "cancelled while it was paid", None, ledger("state = 'TAKEN'")
    ),
    "no stock.rejected": Plant(
        ("event_rejected", "event_ghost"), "rejected", None, drop("productfc", "stock.rejected")
    ),
    "stock.rejected of stock that was taken": Plant(
        ("event_rejected",), "paid", lambda made: made.publish("stock.rejected", 1)
    ),
    "order.created with another amount": Plant(("event_payload",), "paid", says("order.created", total_amount=1)),
    "stock.updated with other products": Plant(
        ("event_payload",), "paid", says("stock.updated", products=[{"product_id": 1, "quantity": 1}])
    ),
    "payment.failed for another reason": Plant(("event_payload",), "expired", says("payment.failed", reason="whim")),
    "published before it was written": Plant(("event_times",), "paid", published_before_written),
    "an event id that is used twice": Plant(("event_id",), "rejected", same_id_in_another_outbox),
    "published, but on no topic": Plant(("event_on_topic",), "paid", never_sent),
    "sent under another key": Plant(("event_on_topic",), "paid", sent_under_another_key),
    "consumed without effect": Plant(("event_applied",), "paid", without("orderfc", "inbox")),
    "a parked event": Plant(("event_parked",), "paid", park("payment.success", recorded=True)),
    "a parked event that failed_events lacks": Plant(
        ("event_parked", "event_recorded"), "paid", park("payment.success", recorded=False)
    ),
    "two live invoices": Plant(("invoice_live",), "open", twin("PENDING")),
    "a live invoice of a closed payment": Plant(("invoice_left",), "expired", seen(status="PENDING")),
    "a live twin of a paid invoice": Plant(("invoice_left",), "paid", twin("PENDING")),
    "money that we never heard of": Plant(("invoice_paid",), "open", seen(status="PAID", paid_amount=TOTAL)),
    "late money that we never heard of": Plant(("invoice_paid",), "expired", seen(payments=1, paid_amount=TOTAL)),
    "money for a twin": Plant(("invoice_paid",), "paid", twin("PAID")),
    "late money that will be found": Plant(("invoice_money_waits",), "expired", look_again_tomorrow),
    "paid twice, with one payment on record": Plant(("paid_twice",), "paid", seen(payments=2)),
    "two payments named, with one on record": Plant(("receipt_recorded",), "paid", named_payments),
    "a wrong amount that holds the stock": Plant(
        ("mismatch_open",),
        "open",
        wrong_amount,
        payment("expires_at = create_time, sweep_after = now() + interval '1 hour'"),
    ),
    "late money that is not at Xendit": Plant(
        ("late_witness",), "expired, then paid", seen(payments=0, paid_amount=None)
    ),
    "a callback to confirm that is on no list": Plant(("confirmation_overdue",), "open", unconfirmed_callback),
    "a callback that is not confirmed in time": Plant(("confirmation_overdue",), "open", neglected_callback),
    "another amount paid": Plant(("payment_received",), "paid", seen(paid_amount=Decimal(1))),
    "another amount that came and was not recorded": Plant(
        ("invoice_paid", "invoice_mismatch"), "open", seen(status="PAID", paid_amount=Decimal(1), payments=1)
    ),
    "paid by nobody": Plant(("payment_witness",), "paid", seen(status="PENDING", payments=0)),
    "paid with no invoice at Xendit": Plant(("payment_witness",), "paid", lambda made: made.invoices.clear()),
    "an invoice of another amount": Plant(("invoice_amount",), "open", seen(amount=Decimal(1))),
    "an expired invoice of an open payment": Plant(("invoice_expired",), "open", seen(status="EXPIRED")),
    "an invoice that Xendit has forgotten": Plant(("invoice_unknown",), "open", lambda made: made.invoices.clear()),
    "an invoice of nobody": Plant(("invoice_order",), "open", only_invoice),
    "a step missing in the audit log": Plant(
        ("audit_steps",),
        "paid",
        lambda made: made.documents.remove(next(each for each in made.documents if each["event"] == "payment.paid")),
    ),
    "an anomaly twice in the audit log": Plant(
        ("audit_steps",), "expired, then paid", written_again("payment.anomaly")
    ),
    "a step twice in the audit log": Plant(("audit_steps",), "paid", written_again("payment.paid")),
    "a step that has not happened": Plant(("audit_steps",), "open", lambda made: made.audit("payment.paid", 3)),
    "a published event twice in the audit log": Plant(("audit_published",), "paid", written_again("event.published")),
    "a published event missing in the audit log": Plant(
        ("audit_published",),
        "paid",
        lambda made: made.documents.remove(next(each for each in made.documents if each["event"] == "event.published")),
    ),
    "an entry that never reached the audit log": Plant(("audit_delivered",), "paid", undelivered),
    **FORGERIES,
    **REFUNDS,
}
