"""The SQL of what is open besides unpaid orders: callbacks, anomalies, refunds, and invoices to be expired."""

from chassis.db.database import Database
from paymentfc.model.callback import WRONG_MONEY
from paymentfc.model.refund import RefundStatus
from paymentfc.repository.dossiers import ANOMALY, CALLBACK, CLOSING, CONFIRMATION, MAX_OPEN, REFUND

OPEN_REFUNDS = (RefundStatus.DUE, RefundStatus.REQUESTED, RefundStatus.FAILED, RefundStatus.MANUAL)
_WRONG_MONEY = ", ".join(f"'{kind}'" for kind in WRONG_MONEY)


def _rows(columns: str, source: str) -> str:
    """Return the first rows of a source, oldest first; the source reads at most MAX_OPEN rows along an index."""
    first = f"SELECT {columns} FROM ({source} LIMIT {MAX_OPEN}) AS o ORDER BY create_time LIMIT $1"
    return f"(SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM ({first}) AS r)"


_REFUNDS = " UNION ALL ".join(
    f"(SELECT * FROM refunds WHERE status = '{status}' ORDER BY id LIMIT {MAX_OPEN})" for status in OPEN_REFUNDS
)
_ANOMALIES = f"""
SELECT a.*, coalesce(p.status = 'PENDING', false) AND a.paid AND a.kind IN ({_WRONG_MONEY}) AS holds, p.expires_at,
  EXISTS (SELECT FROM refunds r WHERE r.order_id = a.order_id AND r.payment_id = a.payment_id) AS has_refund
FROM (SELECT * FROM payment_anomalies WHERE resolved_at IS NULL ORDER BY id LIMIT {MAX_OPEN}) AS a
LEFT JOIN LATERAL (SELECT * FROM payments WHERE invoice_id = a.invoice_id LIMIT 1) AS p ON true
"""
_UNDONE = f"SELECT * FROM invoice_closings WHERE step <> 'done' ORDER BY due_at LIMIT {MAX_OPEN}"
_OPEN_ITEMS = f"""
SELECT json_build_object(
  'callbacks', {
    _rows(
        f"{CALLBACK}, external_id",
        "SELECT * FROM payment_callbacks WHERE outcome = 'waiting' ORDER BY external_id",
    )
},
  'confirmations', {_rows(f"{CONFIRMATION}, external_id", "SELECT * FROM payment_confirmations ORDER BY due_at")},
  'anomalies', {_rows(f"{ANOMALY}, order_id, external_id, holds, expires_at, has_refund", _ANOMALIES)},
  'refunds', {_rows(f"{REFUND}, order_id", f"SELECT * FROM ({_REFUNDS}) AS r")},
  'closings', {
    _rows(
        f"{CLOSING}, external_id",
        f"SELECT * FROM ({_UNDONE}) AS c WHERE step = 'expire'",
    )
})::text
"""


async def read(db: Database, limit: int) -> str:
    """Read the oldest `limit` items of each kind, as JSON text."""
    async with db.driver() as connection:
        text: str = await connection.fetchval(_OPEN_ITEMS, limit)
    return text
