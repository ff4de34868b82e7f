"""The rows of `payment_anomalies`: one per distinct (invoice, kind, amount, currency)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import asyncpg

from chassis.db.database import Database, Tx
from paymentfc.model.callback import WRONG_MONEY, Anomaly, AnomalyKind, Callback, amount_text
from paymentfc.model.payment import Payment
from paymentfc.repository import pages
from paymentfc.repository.pages import Page

# Money for a case recorded without any opens its row again, also a resolved one.
_ADD = """
INSERT INTO payment_anomalies AS known
  (order_id, payment_id, external_id, invoice_id, kind, expected, received, amount, currency, paid)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (invoice_id, kind, amount, currency) DO UPDATE
SET paid = true, expected = excluded.expected, received = excluded.received, resolved_at = NULL, note = NULL,
  order_id = coalesce(known.order_id, excluded.order_id), payment_id = coalesce(known.payment_id, excluded.payment_id)
WHERE excluded.paid AND NOT known.paid
RETURNING id
"""
_ATTACH = """
UPDATE payment_anomalies SET order_id = $3, payment_id = $4,
  resolved_at = CASE WHEN $5 THEN now() END, note = CASE WHEN $5 THEN 'its order has appeared' END
WHERE invoice_id = $1 AND kind = $2 AND payment_id IS NULL AND resolved_at IS NULL
"""

_SETTLE = """
UPDATE payment_anomalies SET resolved_at = now(), note = $3
WHERE invoice_id = $1 AND kind = ANY($2::text[]) AND resolved_at IS NULL
"""
_CLOSED_BY = """
UPDATE payment_anomalies SET action = 'close',
  note = CASE WHEN resolved_at IS NULL THEN 'the order was closed: refund the money' ELSE note END
WHERE invoice_id = $1 AND kind = ANY($2::text[]) AND paid
"""

_SHOWN = "id, order_id, external_id, kind, expected, received, resolved_at, note, create_time"
# One text for each answer of `resolved`: a plan for any of them can't use the index of the open ones.
_LISTED = {
    None: "FROM payment_anomalies",
    False: "FROM payment_anomalies WHERE resolved_at IS NULL",
    True: "FROM payment_anomalies WHERE resolved_at IS NOT NULL",
}
_RESOLVE = "UPDATE payment_anomalies SET resolved_at = now(), note = $2 WHERE id = $1 AND resolved_at IS NULL"
# Along the index of the open ones, no further than the limit.
_OPEN = """
SELECT kind, count(*) AS n FROM (
  SELECT kind FROM payment_anomalies WHERE resolved_at IS NULL ORDER BY id LIMIT $1) AS open GROUP BY kind
"""
_ONE = f"SELECT {_SHOWN} FROM payment_anomalies WHERE id = $1"
_PAID_BY = """
SELECT invoice_id, external_id, amount, currency FROM payment_anomalies
WHERE id = $1 AND paid AND kind IN ('amount_mismatch', 'currency_mismatch')
"""
# The sources of model/refund.py, from the columns of an anomaly.
_SOURCE = """
CASE a.kind WHEN 'paid_after_close' THEN 'taken'
  WHEN 'paid_twice' THEN 'receipt:' || substr(a.amount, strpos(a.amount, ' ') + 1)
  WHEN 'amount_mismatch' THEN 'amount:' || a.amount || ' ' || a.currency
  WHEN 'currency_mismatch' THEN 'amount:' || a.amount || ' ' || a.currency END
"""
_REFUNDED = f"""
UPDATE payment_anomalies AS a SET resolved_at = now(), note = $3
WHERE payment_id = $1 AND resolved_at IS NULL AND paid AND $2 = {_SOURCE}
"""
# Those that the version before has recorded, which knew no refunds.
_WITHOUT_REFUND = f"""
SELECT id, invoice_id, external_id, kind, expected, received, amount, currency FROM payment_anomalies AS a
WHERE resolved_at IS NULL AND id > $2 AND paid AND payment_id IS NOT NULL
  AND (kind IN ('paid_after_close', 'paid_twice') OR action = 'close')
  AND NOT EXISTS (SELECT FROM refunds AS r WHERE r.payment_id = a.payment_id AND r.source = {_SOURCE})
ORDER BY id LIMIT $1
"""


async def add(tx: Tx, anomaly: Anomaly, callback: Callback, payment: Payment | None) -> bool:
    """Record an anomaly. Returns False if the same case is recorded already and no money has come since."""
    row_id = await tx.driver().fetchval(
        _ADD,
        payment.order_id if payment else None,
        payment.id if payment else None,
        callback.external_id,
        callback.invoice_id,
        anomaly.kind.value,
        anomaly.expected,
        anomaly.received,
        " ".join([amount_text(callback.judged_amount), *([anomaly.receipt] if anomaly.receipt else [])]),
        callback.currency,
        callback.says_paid,
    )
    return row_id is not None


async def attach(tx: Tx, payment: Payment, invoice_id: str, *, resolved: bool) -> None:
    """Set the order of an anomaly recorded before its payment existed; `resolved`: its callback was applied."""
    kind = AnomalyKind.UNKNOWN_INVOICE.value
    await tx.driver().execute(_ATTACH, invoice_id, kind, payment.order_id, payment.id, resolved)


async def settle(tx: Tx, invoice_id: str, kinds: Sequence[AnomalyKind], note: str) -> None:
    """Resolve the open anomalies of an invoice that have explained themselves."""
    await tx.driver().execute(_SETTLE, invoice_id, [kind.value for kind in kinds], note)


async def note_closing(tx: Tx, invoice_id: str) -> None:
    """Store with the money of a wrong amount that its order was closed: it is to be refunded."""
    await tx.driver().execute(_CLOSED_BY, invoice_id, [kind.value for kind in WRONG_MONEY])


async def by_id(tx: Tx, anomaly_id: int) -> dict[str, Any] | None:
    row = await tx.driver().fetchrow(_ONE, anomaly_id)
    return dict(row) if row else None


async def paid_by(tx: Tx, anomaly_id: int) -> Callback | None:
    """Return the callback behind an anomaly, as far as it is about money, or None if none has come."""
    row = await tx.driver().fetchrow(_PAID_BY, anomaly_id)
    if row is None:
        return None
    return Callback(row["invoice_id"], row["external_id"], "PAID", Decimal(row["amount"]), None, row["currency"])


async def without_refund(db: Database, limit: int, after: int) -> list[tuple[int, Anomaly, Callback]]:
    """Return the next open anomalies of money that was not owed and has no refund, each with its id and callback."""
    async with db.driver() as connection:
        rows = await connection.fetch(_WITHOUT_REFUND, limit, after)
    return [(row["id"], *_recorded(row)) for row in rows]


def _recorded(row: asyncpg.Record) -> tuple[Anomaly, Callback]:
    amount, _, receipt = row["amount"].partition(" ")
    anomaly = Anomaly(AnomalyKind(row["kind"]), row["expected"], row["received"], receipt or None)
    callback = Callback(row["invoice_id"], row["external_id"], "PAID", Decimal(amount), None, row["currency"], receipt)
    return anomaly, callback


async def refunded(tx: Tx, payment_id: int, source: str, note: str) -> None:
    """Resolve the anomaly of money that was refunded. `source` is that of the refund."""
    await tx.driver().execute(_REFUNDED, payment_id, source, note)


async def page(db: Database, number: int, size: int, *, resolved: bool | None) -> Page[dict[str, Any]]:
    """Read a page of anomalies, newest first; `resolved` None reads all of them."""
    return await pages.read(db, _SHOWN, _LISTED[resolved], [], number, size)


async def open_by_kind(db: Database, limit: int) -> dict[str, int]:
    """Count the open anomalies of each kind, at most `limit` in all; a kind without one is missing."""
    async with db.driver() as connection:
        return {row["kind"]: row["n"] for row in await connection.fetch(_OPEN, limit)}


async def resolve(tx: Tx, anomaly_id: int, note: str) -> dict[str, Any] | None:
    """Resolve an anomaly and return its row, None for an unknown id; a second note changes nothing."""
    await tx.driver().execute(_RESOLVE, anomaly_id, note)
    return await by_id(tx, anomaly_id)
