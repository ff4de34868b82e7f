"""The SQL of what administrators read: all that is stored about an order's payment, and which payments wait."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import asyncpg

from chassis.db.database import Database
from paymentfc.model.callback import WRONG_MONEY
from paymentfc.model.payment import external_id
from paymentfc.repository.payments import OPEN
from paymentfc.repository.requests import AGAIN, NEW

# Of each kind of row; a true order has a few.
MAX_ROWS = 50
# Of the anomalies that nobody has resolved, so many are searched for those of an order that name another invoice.
MAX_OPEN = 1_000

_PAYMENT = """
id, order_id, user_id, user_email, external_id, amount, currency, status, reason, payment_method, invoice_id,
invoice_url, invoice_time, expires_at, paid_at, late_paid_at, receipt, retry_count, traceparent, sweep_after,
check_after, create_time, update_time
"""
_REQUEST = "status, attempts, tries, last_error, next_attempt_at, lease_until, create_time, update_time"
CALLBACK = "id, invoice_id, status, amount, currency, outcome, deliveries, receipt, create_time, applied_time"
ANOMALY = """
id, invoice_id, kind, expected, received, currency, paid, action, resolved_at, note, create_time
"""
REFUND = """
id, invoice_id, amount, currency, cause, status, failure_code, gateway_id, attempts, last_error, due_at, note,
requested_at, create_time, update_time
"""
CONFIRMATION = "invoice_id, looks, last_error, due_at, create_time"
CLOSING = "invoice_id, step, attempts, last_error, due_at, done_at, create_time"


def _rows(select: str, order: str) -> str:
    return f"(SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM ({select} ORDER BY {order} LIMIT {MAX_ROWS}) AS r)"


# One statement, so that all is of one moment. Rows are found by the order, or by the invoice of its payment: callbacks
# and anomalies about another invoice only while they wait, along the indexes of those.
_OF_ORDER = f"""
WITH own AS (SELECT {_PAYMENT} FROM payments WHERE order_id = $1)
SELECT json_build_object(
  'payment', (SELECT row_to_json(own) FROM own),
  'request', (SELECT row_to_json(r) FROM (SELECT {_REQUEST} FROM payment_requests WHERE order_id = $1) AS r),
  'rejection', (SELECT row_to_json(r) FROM (
    SELECT reason, create_time FROM rejected_orders WHERE order_id = $1) AS r),
  'callbacks', {
    _rows(
        f'''
    SELECT {CALLBACK} FROM payment_callbacks WHERE invoice_id = (SELECT invoice_id FROM own) AND external_id = $2
    UNION SELECT {CALLBACK} FROM payment_callbacks WHERE outcome = 'waiting' AND external_id = $2''',
        "id",
    )
},
  'confirmations', {
    _rows(
        f"SELECT {CONFIRMATION} FROM payment_confirmations WHERE external_id = $2",
        "create_time",
    )
},
  'receipts', {
    _rows(
        '''
    SELECT id, invoice_id, receipt, amount, currency, create_time FROM payment_receipts
    WHERE invoice_id = (SELECT invoice_id FROM own) AND external_id = $2''',
        "id",
    )
},
  'anomalies', {
    _rows(
        f'''
    SELECT {ANOMALY} FROM payment_anomalies WHERE invoice_id = (SELECT invoice_id FROM own)
    UNION SELECT {ANOMALY} FROM (
      SELECT * FROM payment_anomalies WHERE resolved_at IS NULL ORDER BY id DESC LIMIT {MAX_OPEN}) AS open_ones
    WHERE order_id = $1 OR external_id = $2''',
        "id",
    )
},
  'refunds', {_rows(f"SELECT {REFUND} FROM refunds WHERE order_id = $1", "id")},
  'closings', {
    _rows(
        f"SELECT {CLOSING} FROM invoice_closings WHERE invoice_id = (SELECT invoice_id FROM own)",
        "create_time",
    )
})::text
"""
_ORDER_OF_INVOICE = "SELECT order_id FROM payments WHERE invoice_id = $1"
_ORDER_OF_EXTERNAL = "SELECT order_id FROM payments WHERE external_id = $1"

# Money of a wrong amount holds its order until the invoice ends, also when its anomaly is resolved.
_WRONG_MONEY = f"""
(SELECT row_to_json(a)::text FROM (
  SELECT {ANOMALY} FROM payment_anomalies
  WHERE invoice_id = p.invoice_id AND paid AND kind IN ({", ".join(f"'{kind}'" for kind in WRONG_MONEY)})
  ORDER BY id LIMIT 1) AS a) AS wrong_money
"""
_WAITING = f"""
p.order_id, p.user_id, p.amount, p.currency, p.invoice_id, p.invoice_url, p.invoice_time, p.expires_at, p.sweep_after,
p.create_time, {_WRONG_MONEY}
"""
_ASKED = """
SELECT id, payment_id, status AS request, attempts, tries, last_error, next_attempt_at AS moment FROM payment_requests
WHERE {status} AND (next_attempt_at, id) > ($1::timestamptz, $2::bigint) ORDER BY next_attempt_at, id LIMIT $3
"""
_WITHOUT_INVOICE = f"""
SELECT r.id, r.moment, r.request, r.attempts, r.tries, r.last_error, {_WAITING}
FROM (({_ASKED.format(status=NEW)}) UNION ALL ({_ASKED.format(status=AGAIN)})) AS r
CROSS JOIN LATERAL (SELECT * FROM payments WHERE payments.id = r.payment_id LIMIT 1) AS p
ORDER BY r.moment, r.id LIMIT $3
"""
_UNSWEPT = f"""
SELECT *, expires_at AS moment FROM payments
WHERE {OPEN} AND sweep_after IS NULL AND (expires_at, id) > ($1::timestamptz, $2::bigint) AND {{ends}}
ORDER BY expires_at, id LIMIT $3
"""
_SWEPT = f"""
SELECT *, sweep_after AS moment FROM payments
WHERE {OPEN} AND sweep_after IS NOT NULL AND (sweep_after, id) > ($1::timestamptz, $2::bigint)
ORDER BY sweep_after, id LIMIT $3
"""
_UNPAID = f"""
SELECT p.id, p.moment, NULL AS request, NULL AS attempts, NULL AS tries, NULL AS last_error, {_WAITING}
FROM ({{source}}) AS p ORDER BY p.moment, p.id LIMIT $3
"""


class Step(StrEnum):
    """What an open payment waits for: its invoice, the customer, or Xendit's answer about an invoice that has ended."""

    INVOICE = "invoice"
    CUSTOMER = "customer"
    EXPIRY = "expiry"


_PAGES = {
    Step.INVOICE: _WITHOUT_INVOICE,
    Step.CUSTOMER: _UNPAID.format(source=_UNSWEPT.format(ends="expires_at > now()")),
    Step.EXPIRY: _UNPAID.format(source=f"({_UNSWEPT.format(ends='expires_at <= now()')}) UNION ALL ({_SWEPT})"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in the list of a step: by time, then by id."""

    moment: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    id: int = 0


async def of_order(db: Database, order_id: int) -> str:
    """Read all that is stored about an order, as JSON text; without a payment `payment` is null."""
    async with db.driver() as connection:
        text: str = await connection.fetchval(_OF_ORDER, order_id, external_id(order_id))
    return text


async def order_of_invoice(db: Database, invoice_id: str) -> int | None:
    async with db.driver() as connection:
        order_id: int | None = await connection.fetchval(_ORDER_OF_INVOICE, invoice_id)
    return order_id


async def order_of_external(db: Database, ext_id: str) -> int | None:
    async with db.driver() as connection:
        order_id: int | None = await connection.fetchval(_ORDER_OF_EXTERNAL, ext_id)
    return order_id


async def waiting(db: Database, step: Step, behind: Place, limit: int) -> list[asyncpg.Record]:
    """Read open payments that wait for a step, those whose `moment` comes first, behind a place.

    The moment is the next try for an invoice, the end of the invoice, or the next look after that end.
    """
    async with db.driver() as connection:
        return list(await connection.fetch(_PAGES[step], behind.moment, behind.id, limit))
