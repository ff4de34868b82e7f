"""The rows of `payment_confirmations`: invoices that Xendit is asked about before callbacks take effect."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from chassis import telemetry
from chassis.db.database import Database, Tx
from paymentfc.model.payment import Payment
from paymentfc.repository import callbacks, payments
from paymentfc.repository.callbacks import Stored


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A claimed invoice; `looks` includes this one. `traceparent` is that of the last callback.

    `due_at` is the end of the lease, and its name: another claim, or a callback that comes, changes it. `payment` and
    `first`, the first callback that waits, are as they were at the time of the claim.
    """

    invoice_id: str
    external_id: str
    looks: int
    traceparent: str | None
    create_time: datetime
    due_at: datetime
    payment: Payment | None
    first: Stored | None


_ITEM = ("invoice_id", "external_id", "looks", "traceparent", "create_time", "due_at")
# Also for the statement in arrivals.py.
DUE_NOW = """
ON CONFLICT (invoice_id, external_id) DO UPDATE SET due_at = now(), traceparent = excluded.traceparent
"""
_ADD = f"INSERT INTO payment_confirmations (invoice_id, external_id, traceparent) VALUES ($1, $2, $3) {DUE_NOW}"
# The most that one claim takes. A plan for any $1 alone expects a tenth of all due rows, and reads the whole table.
_MOST = 64
_CLAIM = f"""
WITH due AS MATERIALIZED (
  SELECT * FROM (
    SELECT invoice_id AS due_invoice, external_id AS due_external FROM payment_confirmations
    WHERE due_at <= now() ORDER BY due_at LIMIT {_MOST} FOR UPDATE SKIP LOCKED) AS first LIMIT $1),
claimed AS (
  UPDATE payment_confirmations SET due_at = now() + $2 * interval '1 second', looks = looks + 1
  FROM due WHERE invoice_id = due_invoice AND external_id = due_external
  RETURNING {", ".join(_ITEM)})
SELECT claimed.*, {payments.JOINED}, {callbacks.JOINED} FROM claimed
LEFT JOIN LATERAL (SELECT * FROM payments o WHERE o.external_id = claimed.external_id LIMIT 1) AS p ON true
LEFT JOIN LATERAL (
  SELECT * FROM payment_callbacks o
  WHERE o.invoice_id = claimed.invoice_id AND o.external_id = claimed.external_id AND o.outcome = 'confirming'
  ORDER BY o.id LIMIT 1) AS c ON true
"""
_REMOVE = "DELETE FROM payment_confirmations WHERE invoice_id = $1 AND external_id = $2"
_POSTPONE = """
UPDATE payment_confirmations SET due_at = now() + $3 * interval '1 second', last_error = left($4, 500)
WHERE invoice_id = $1 AND external_id = $2 AND due_at = $5 RETURNING true
"""
# Made-up invoices: each would be read at Xendit for days, at the expense of the true ones.
MAX_UNKNOWN = 20
_HAS_ROOM = f"""
SELECT count(*) < {MAX_UNKNOWN} FROM (
  SELECT FROM payment_confirmations WHERE external_id = $1 AND invoice_id <> $2 LIMIT {MAX_UNKNOWN}) AS others
"""
_IS_OLD = "SELECT $1::timestamptz <= now() - $2 * interval '1 second'"


async def has_room(tx: Tx, payment: Payment, invoice_id: str) -> bool:
    """Whether Xendit may be asked about an invoice: the payment's own, or one of MAX_UNKNOWN that it might adopt."""
    if payment.invoice_id == invoice_id:
        return True
    return bool(await tx.driver().fetchval(_HAS_ROOM, payment.external_id, invoice_id))


async def add(tx: Tx, invoice_id: str, ext_id: str) -> None:
    """Have Xendit asked about an invoice now, also when it is listed already."""
    await tx.driver().execute(_ADD, invoice_id, ext_id, telemetry.inject({}).get("traceparent"))


async def claim(db: Database, limit: int, lease_s: float) -> list[Confirmation]:
    async with db.driver() as connection:
        rows = await connection.fetch(_CLAIM, limit, lease_s)
    return [_confirmation(row) for row in rows]


def _confirmation(row: asyncpg.Record) -> Confirmation:
    fields = {name: row[name] for name in _ITEM}
    return Confirmation(**fields, payment=payments.joined(row), first=callbacks.joined(row))


async def remove(tx: Tx, item: Confirmation) -> None:
    await tx.driver().execute(_REMOVE, item.invoice_id, item.external_id)


async def postpone(tx: Tx, item: Confirmation, wait_s: float, reason: str) -> bool:
    """Store why the callbacks wait. Returns False if the invoice is due again: a callback has come since the claim."""
    values = (item.invoice_id, item.external_id, wait_s, reason, item.due_at)
    return bool(await tx.driver().fetchval(_POSTPONE, *values))


async def is_older_than(tx: Tx, item: Confirmation, age_s: float) -> bool:
    return bool(await tx.driver().fetchval(_IS_OLD, item.create_time, age_s))
