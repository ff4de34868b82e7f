"""The rows of `payments`, and the tombstones of orders rejected or cancelled before their payment existed.

A status changes in guarded statements only: each names the status it starts from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.auth.tokens import Principal
from chassis.db.database import Database, Tx
from paymentfc.errors import PaymentNotFound
from paymentfc.events import Line
from paymentfc.model.payment import Payment, Reason, Status, external_id
from paymentfc.repository import pages
from paymentfc.repository.pages import Page

_FIELDS = [field.name for field in fields(Payment)]
COLUMNS = ", ".join(_FIELDS)
JOINED = ", ".join(f"p.{name} AS p_{name}" for name in _FIELDS)
"""The columns of a payment `p` in a row of something else, see `joined`."""

_OF_ORDER = f"SELECT {COLUMNS} FROM payments WHERE order_id = $1 AND ($2::bigint IS NULL OR user_id = $2)"
# All work on one order is serialised: by its payment's row, and by this lock while there is none. Several are locked in
# the order of their keys, so that two transactions can't deadlock. registration.py says why there is a subquery.
_LOCK_ORDERS = """
SELECT pg_advisory_xact_lock(key) FROM (
  SELECT DISTINCT hashtextextended(id, 0) AS key FROM unnest((SELECT $1::text[])) AS id ORDER BY key) AS sorted
"""
_LOCKED = f"SELECT {COLUMNS} FROM payments WHERE external_id = $1 FOR UPDATE"
_PAY = """
UPDATE payments SET status = 'PAID', paid_at = now(), receipt = $2, update_time = now()
WHERE id = $1 AND status = 'PENDING' RETURNING true
"""
_CLOSE = """
UPDATE payments SET status = $2, reason = $3, update_time = now()
WHERE id = $1 AND status = 'PENDING' RETURNING true
"""
_LATE = """
UPDATE payments SET late_paid_at = now(), receipt = $2, update_time = now()
WHERE id = $1 AND status IN ('EXPIRED', 'FAILED') AND late_paid_at IS NULL RETURNING true
"""
_NAME_RECEIPT = "UPDATE payments SET receipt = $2 WHERE id = $1 AND receipt IS NULL"
_ADOPT = """
UPDATE payments SET invoice_id = $2, invoice_time = now(), update_time = now()
WHERE id = $1 AND invoice_id IS NULL AND NOT EXISTS (SELECT 1 FROM payments WHERE invoice_id = $2) RETURNING true
"""
_SAVE_INVOICE = """
UPDATE payments SET invoice_id = $2, invoice_url = $3, expires_at = $4, invoice_time = coalesce(invoice_time, now()),
  user_email = coalesce(user_email, $5), update_time = now()
WHERE id = $1 AND (invoice_id IS NULL OR invoice_id = $2) AND invoice_url IS NULL RETURNING true
"""
_COUNT_RETRY = """
UPDATE payments SET retry_count = retry_count + 1, user_email = coalesce(user_email, $2), update_time = now()
WHERE id = $1
"""

OPEN = "status = 'PENDING' AND invoice_id IS NOT NULL"
# Each claim takes the rows that were never claimed, then those that are due again, each along an index of its own: in
# one condition, all that wait for their time would be read before the first that is due. ARRAY: see requests.py.
_PAST_EXPIRY = f"""
WITH first AS MATERIALIZED (
  SELECT id FROM payments WHERE {OPEN} AND sweep_after IS NULL AND expires_at <= now()
  ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED),
again AS MATERIALIZED (
  SELECT id FROM payments WHERE {OPEN} AND sweep_after <= now() AND expires_at <= now()
  ORDER BY sweep_after LIMIT $1 - (SELECT count(*) FROM first) FOR UPDATE SKIP LOCKED)
UPDATE payments SET sweep_after = now() + $2 * interval '1 second'
WHERE id = ANY(ARRAY(SELECT id FROM first UNION ALL SELECT id FROM again))
RETURNING {COLUMNS}
"""
_PAST_EXPIRY_OF_ORDER = f"""
UPDATE payments SET sweep_after = now() + $2 * interval '1 second' WHERE id = ANY(ARRAY(
  SELECT id FROM payments
  WHERE order_id = $1 AND {OPEN} AND expires_at <= now() AND (sweep_after IS NULL OR sweep_after <= now())
  FOR UPDATE SKIP LOCKED))
RETURNING {COLUMNS}
"""
# A lost callback is found in the first minutes; asking about each invoice every minute of its day would use up
# Xendit's rate limit.
_OPEN_FOR_LONG = f"""
WITH first AS MATERIALIZED (
  SELECT id FROM payments WHERE {OPEN} AND check_after IS NULL AND invoice_time <= now() - $3 * interval '1 second'
  ORDER BY invoice_time DESC LIMIT $1 FOR UPDATE SKIP LOCKED),
again AS MATERIALIZED (
  SELECT id FROM payments WHERE {OPEN} AND check_after <= now()
  ORDER BY check_after LIMIT $1 - (SELECT count(*) FROM first) FOR UPDATE SKIP LOCKED)
UPDATE payments SET check_after = now() + greatest($2 * interval '1 second', (now() - invoice_time) / 10)
WHERE id = ANY(ARRAY(SELECT id FROM first UNION ALL SELECT id FROM again))
RETURNING {COLUMNS}
"""
_ORDER_OF = "SELECT payment_method, shipping_address, lines::text AS lines, invoice_time FROM payments WHERE id = $1"
_SWEEP_LATER = "UPDATE payments SET sweep_after = now() + $2 * interval '1 second' WHERE id = $1"
_FAILED_SHOWN = """
id, order_id, user_id, amount, user_email, status, retry_count, coalesce(reason, '') AS notes, create_time, update_time
"""
_FAILED = "FROM payments WHERE status IN ('EXPIRED', 'FAILED')"
_TOMBSTONE = "SELECT cause FROM rejected_orders WHERE order_id = $1"
_ADD_TOMBSTONE = "INSERT INTO rejected_orders (order_id, cause, reason) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Order:
    """The part of an order that its invoice shows; `invoice_time` is when the payment got its invoice."""

    payment_method: str
    shipping_address: str
    lines: list[Line]
    invoice_time: datetime | None


async def lock_order(tx: Tx, ext_id: str) -> Payment | None:
    """Lock the order until the end of the transaction, and return its payment. Returns None if there is none yet."""
    row = await tx.driver().fetchrow(_LOCKED, ext_id)
    if row is None:
        await lock_unknown(tx, [ext_id])
        row = await tx.driver().fetchrow(_LOCKED, ext_id)
    return Payment.of(dict(row)) if row else None


async def lock_unknown(tx: Tx, ext_ids: Sequence[str]) -> None:
    """Lock orders that have no payment yet. A statement of its own, so that the next one sees what was committed."""
    await tx.driver().execute(_LOCK_ORDERS, ext_ids)


async def lock_payment(tx: Tx, order_id: int) -> Payment:
    payment = await lock_order(tx, external_id(order_id))
    if payment is None:
        raise RuntimeError(f"order {order_id} has no payment any more")
    return payment


async def read_again(tx: Tx, payment: Payment) -> Payment:
    """Read a payment whose order this transaction has locked, after it may have changed it."""
    (row,) = await tx.driver().fetch(_LOCKED, payment.external_id)
    return Payment.of(dict(row))


async def pay(tx: Tx, payment_id: int, receipt: str | None) -> bool:
    return bool(await tx.driver().fetchval(_PAY, payment_id, receipt))


async def close(tx: Tx, payment_id: int, status: Status, reason: Reason) -> bool:
    return bool(await tx.driver().fetchval(_CLOSE, payment_id, status.value, reason.value))


async def mark_paid_late(tx: Tx, payment_id: int, receipt: str | None) -> bool:
    """Store that money came for a closed payment; True only the first time."""
    return bool(await tx.driver().fetchval(_LATE, payment_id, receipt))


async def name_receipt(tx: Tx, payment_id: int, receipt: str) -> None:
    """Store which payment was taken, where Xendit has not named it before."""
    await tx.driver().execute(_NAME_RECEIPT, payment_id, receipt)


async def adopt_invoice(tx: Tx, payment_id: int, invoice_id: str) -> bool:
    """Store the invoice of a callback. Returns False if this payment has one, or another payment has this one."""
    return bool(await tx.driver().fetchval(_ADOPT, payment_id, invoice_id))


async def save_invoice(
    tx: Tx, payment_id: int, invoice_id: str, url: str, expires_at: datetime, email: str | None
) -> bool:
    """Store the invoice that the customer can pay. Returns False if this one or another is stored already.

    `email` is the payer's, where it is known: one that is stored stays.
    """
    return bool(await tx.driver().fetchval(_SAVE_INVOICE, payment_id, invoice_id, url, expires_at, email))


async def count_retry(tx: Tx, payment_id: int, email: str | None) -> None:
    """Count a failed attempt, and store the payer's e-mail where none is stored."""
    await tx.driver().execute(_COUNT_RETRY, payment_id, email)


async def claim_past_expiry(db: Database, limit: int, lease_s: float, order_id: int | None = None) -> list[Payment]:
    """Claim open payments past their expiry, or only that of one order; free again after `lease_s` seconds."""
    async with db.driver() as connection:
        if order_id is not None:
            return _all(await connection.fetch(_PAST_EXPIRY_OF_ORDER, order_id, lease_s))
        return _all(await connection.fetch(_PAST_EXPIRY, limit, lease_s))


async def claim_open_invoices(db: Database, limit: int, lease_s: float, min_age_s: float) -> list[Payment]:
    """Claim open payments whose invoice is at least `min_age_s` seconds old: unchecked ones first, the youngest first.

    Each is due again after `lease_s` seconds, or after a tenth of its age where that is longer.
    """
    async with db.driver() as connection:
        return _all(await connection.fetch(_OPEN_FOR_LONG, limit, lease_s, min_age_s))


async def sweep_later(db: Database, payment_id: int, wait_s: float) -> None:
    async with db.driver() as connection:
        await connection.execute(_SWEEP_LATER, payment_id, wait_s)


async def ended_as(tx: Tx, order_id: int) -> Reason | None:
    """Return why this order was over before order.created arrived: the first of stock.rejected and order.cancelled."""
    cause = await tx.driver().fetchval(_TOMBSTONE, order_id)
    return None if cause is None else Reason(cause)


async def add_tombstone(tx: Tx, order_id: int, cause: Reason, reason: str) -> None:
    await tx.driver().execute(_ADD_TOMBSTONE, order_id, cause.value, reason)


async def by_order(db: Database, order_id: int, user_id: int | None = None) -> Payment | None:
    """Read the payment of an order; with `user_id` only if it is that user's."""
    async with db.driver() as connection:
        row = await connection.fetchrow(_OF_ORDER, order_id, user_id)
    return Payment.of(dict(row)) if row else None


async def of_caller(db: Database, order_id: int, caller: Principal) -> Payment:
    """Read the payment of an order for its owner or an administrator. Raises PaymentNotFound."""
    payment = await by_order(db, order_id, None if caller.is_admin else caller.user_id)
    if payment is None:
        raise PaymentNotFound(order_id)
    return payment


async def order_of(db: Database, payment_id: int) -> Order:
    async with db.driver() as connection:
        (row,) = await connection.fetch(_ORDER_OF, payment_id)
    return Order(row["payment_method"], row["shipping_address"], lines_of(row["lines"]), row["invoice_time"])


def lines_of(text: str) -> list[Line]:
    """Read the column `lines`."""
    return [Line.model_validate(line) for line in orjson.loads(text)]


def joined(row: asyncpg.Record) -> Payment | None:
    """Return the payment in a row with the columns JOINED, or None if the row has none."""
    return Payment.of({name: row[f"p_{name}"] for name in _FIELDS}) if row["p_id"] is not None else None


async def failed_page(db: Database, number: int, size: int) -> Page[dict[str, Any]]:
    return await pages.read(db, _FAILED_SHOWN, _FAILED, [], number, size)


def _all(rows: Sequence[asyncpg.Record]) -> list[Payment]:
    return [Payment.of(dict(row)) for row in rows]
