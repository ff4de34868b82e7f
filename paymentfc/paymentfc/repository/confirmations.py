"""The rows of `payment_confirmations`: invoices that Xendit is asked about before callbacks take effect."""

from dataclasses import dataclass, fields
from datetime import datetime

from chassis import telemetry
from chassis.db.database import Database, Tx
from paymentfc.model.payment import Payment


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A claimed invoice; `looks` includes this one. `traceparent` is that of the last callback."""

    invoice_id: str
    external_id: str
    looks: int
    traceparent: str | None
    create_time: datetime


_COLUMNS = ", ".join(field.name for field in fields(Confirmation))
_ADD = """
INSERT INTO payment_confirmations (invoice_id, external_id, traceparent) VALUES ($1, $2, $3)
ON CONFLICT (invoice_id, external_id) DO UPDATE SET due_at = now(), traceparent = excluded.traceparent
"""
_CLAIM = f"""
WITH due AS MATERIALIZED (
  SELECT invoice_id AS due_invoice, external_id AS due_external FROM payment_confirmations
  WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE payment_confirmations SET due_at = now() + $2 * interval '1 second', looks = looks + 1
FROM due WHERE invoice_id = due_invoice AND external_id = due_external
RETURNING {_COLUMNS}
"""
_REMOVE = "DELETE FROM payment_confirmations WHERE invoice_id = $1 AND external_id = $2"
_POSTPONE = """
UPDATE payment_confirmations SET due_at = now() + $3 * interval '1 second', last_error = left($4, 500)
WHERE invoice_id = $1 AND external_id = $2 AND looks = $5 AND due_at > now() RETURNING true
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
    return [Confirmation(**row) for row in rows]


async def remove(tx: Tx, item: Confirmation) -> None:
    await tx.driver().execute(_REMOVE, item.invoice_id, item.external_id)


async def postpone(tx: Tx, item: Confirmation, wait_s: float, reason: str) -> bool:
    """Store why the callbacks wait; False when the invoice is due again: a callback has come since the claim."""
    values = (item.invoice_id, item.external_id, wait_s, reason, item.looks)
    return bool(await tx.driver().fetchval(_POSTPONE, *values))


async def is_older_than(tx: Tx, item: Confirmation, age_s: float) -> bool:
    return bool(await tx.driver().fetchval(_IS_OLD, item.create_time, age_s))
