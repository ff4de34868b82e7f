"""The statements that read the databases, each sorted by order id, with the record that a row becomes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fc.audit import log_model, model, refund_model


def _order_in(column: str) -> str:
    """Return the SQL that reads the order id in a text such as `order-7`; 0 where it names no order."""
    return f"CASE WHEN {column} ~ '^order-[1-9][0-9]{{0,17}}$' THEN substr({column}, 7)::bigint ELSE 0 END"


_KEYED = _order_in("key")
_NAMED = _order_in("external_id")
_LOGGED = _order_in("metadata->>'external_id'")


@dataclass(frozen=True, slots=True)
class Query:
    """Fills `field` of the dossiers: `record` takes the columns of `sql` in their order."""

    service: str
    field: str
    record: Callable[..., Any]
    sql: str


# The rule `event_key` reports rows that name no order.
_EVENTS = f"""
SELECT {_KEYED}, event_id, topic, payload::text, created_at, published_at, parked_at, last_error
FROM outbox WHERE {_KEYED} > 0 ORDER BY 1, id
"""

QUERIES = (
    Query(
        "orderfc",
        "orders",
        model.Order,
        "SELECT id, user_id, status, total_amount, total_qty, currency, created_at, updated_at FROM orders ORDER BY id",
    ),
    Query(
        "orderfc",
        "lines",
        model.Line,
        "SELECT order_id, product_id, quantity, price FROM order_items ORDER BY order_id, product_id",
    ),
    Query(
        "orderfc",
        "history",
        model.Step,
        "SELECT order_id, status, cause, created_at FROM order_history ORDER BY order_id, id",
    ),
    Query(
        "orderfc",
        "keys",
        model.Key,
        "SELECT order_id, user_id, key, created_at FROM idempotency_keys WHERE order_id IS NOT NULL ORDER BY order_id",
    ),
    Query("orderfc", "order_events", model.Event, _EVENTS),
    Query(
        "productfc",
        "ledger",
        model.LedgerRow,
        "SELECT order_id, product_id, quantity, state, updated_at FROM stock_ledger ORDER BY order_id, product_id",
    ),
    Query("productfc", "stock_events", model.Event, _EVENTS),
    Query(
        "paymentfc",
        "payments",
        model.Payment,
        "SELECT order_id, user_id, external_id, amount, currency, status, reason, invoice_id, invoice_url, expires_at,"
        " paid_at, late_paid_at, retry_count, sweep_after, create_time, update_time FROM payments ORDER BY order_id",
    ),
    Query(
        "paymentfc",
        "requests",
        model.Request,
        "SELECT order_id, status, next_attempt_at, lease_until, last_error, update_time"
        " FROM payment_requests ORDER BY order_id",
    ),
    Query(
        "paymentfc",
        "callbacks",
        model.Callback,
        f"SELECT {_NAMED}, invoice_id, status, outcome, create_time FROM payment_callbacks"
        f" WHERE {_NAMED} > 0 ORDER BY 1, id",
    ),
    Query(
        "paymentfc",
        "anomalies",
        model.Anomaly,
        f"SELECT coalesce(order_id, {_NAMED}), invoice_id, kind, expected, received, resolved_at,"
        f" create_time, paid, amount, currency FROM payment_anomalies WHERE coalesce(order_id, {_NAMED}) > 0"
        " ORDER BY 1, id",
    ),
    Query(
        "paymentfc",
        "confirmations",
        model.Confirmation,
        f"SELECT {_NAMED}, invoice_id, due_at, last_error FROM payment_confirmations WHERE {_NAMED} > 0 ORDER BY 1",
    ),
    Query(
        "paymentfc",
        "receipts",
        model.Receipt,
        f"SELECT {_NAMED}, invoice_id, receipt, create_time FROM payment_receipts WHERE {_NAMED} > 0 ORDER BY 1, id",
    ),
    Query(
        "paymentfc",
        "closings",
        model.Closing,
        "SELECT p.order_id, c.invoice_id, c.step, c.last_error, c.due_at, c.done_at, c.create_time"
        " FROM invoice_closings c JOIN payments p ON p.id = c.payment_id ORDER BY p.order_id",
    ),
    Query(
        "paymentfc",
        "refunds",
        refund_model.Refund,
        "SELECT order_id, id, invoice_id, cause, source, amount, currency, status, failure_code, last_error, due_at,"
        " requested_at, succeeded_at, failed_at, settled_at, create_time, update_time"
        " FROM refunds ORDER BY order_id, id",
    ),
    Query("paymentfc", "payment_events", model.Event, _EVENTS),
    Query(
        "paymentfc",
        "undelivered",
        log_model.AuditEntry,
        f"SELECT coalesce(order_id, {_LOGGED}, 0), event_id::text, event,"
        f" metadata->>'event_id', create_time, prev_hash, hash, true FROM audit_outbox ORDER BY 1, id",
    ),
    Query(
        "paymentfc",
        "audit_heads",
        log_model.ChainHead,
        "SELECT order_id, hash, entries, create_time FROM audit_heads ORDER BY order_id",
    ),
)

CHAINED_SINCE = "SELECT min(create_time) AS moment FROM audit_heads"
REFUNDED_SINCE = "SELECT min(create_time) AS moment FROM refunds"
COUNT_ORDERS = "SELECT count(*) FROM orders"
IN_OUTBOX = "SELECT event_id FROM outbox WHERE event_id = ANY($1::uuid[])"
RECORDED = "SELECT event_id FROM failed_events WHERE event_id = ANY($1::uuid[])"
USERS = "SELECT id FROM users WHERE id = ANY($1::bigint[])"
