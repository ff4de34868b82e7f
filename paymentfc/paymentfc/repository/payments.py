"""The rows of payments: read, locked, and moved by guarded statements only."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import asyncpg
import orjson
from sqlalchemy import select

from chassis.db.database import Database, Tx
from paymentfc.events import Line, OrderCreated
from paymentfc.model.payment import Payment, Reason, Status, external_id
from paymentfc.repository import pages
from paymentfc.repository.pages import Page
from paymentfc.repository.tables import payments

_COLUMNS = ", ".join(field.name for field in fields(Payment))
_PAYMENT = [payments.c[field.name] for field in fields(Payment)]

# Everything that concerns one order runs one at a time, also while its payment does not exist yet.
_LOCK_ORDER = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_LOCKED = f"SELECT {_COLUMNS} FROM payments WHERE external_id = $1 FOR UPDATE"
_ADD = f"""
INSERT INTO payments (order_id, user_id, external_id, amount, currency, payment_method, shipping_address, lines,
                      traceparent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)
ON CONFLICT (order_id) DO NOTHING
RETURNING {_COLUMNS}
"""
_PAY = """
UPDATE payments SET status = 'PAID', paid_at = now(), update_time = now()
WHERE id = $1 AND status = 'PENDING' RETURNING true
"""
_CLOSE = """
UPDATE payments SET status = $2, reason = $3, update_time = now()
WHERE id = $1 AND status = 'PENDING' RETURNING true
"""
_LATE = """
UPDATE payments SET late_paid_at = now(), update_time = now()
WHERE id = $1 AND status IN ('EXPIRED', 'FAILED') AND late_paid_at IS NULL RETURNING true
"""
_ADOPT = """
UPDATE payments SET invoice_id = $2, invoice_time = now(), update_time = now()
WHERE id = $1 AND invoice_id IS NULL AND NOT EXISTS (SELECT 1 FROM payments WHERE invoice_id = $2) RETURNING true
"""
_SAVE_INVOICE = """
UPDATE payments SET invoice_id = $2, invoice_url = $3, expires_at = $4, invoice_time = coalesce(invoice_time, now()),
  update_time = now()
WHERE id = $1 AND (invoice_id IS NULL OR invoice_id = $2) AND invoice_url IS NULL RETURNING true
"""
_COUNT_RETRY = "UPDATE payments SET retry_count = retry_count + 1, update_time = now() WHERE id = $1"
_REMEMBER_EMAIL = "UPDATE payments SET user_email = $2 WHERE id = $1 AND user_email IS DISTINCT FROM $2"

# The CTE makes sure that the rows are chosen once (see requests.py).
_PAST_EXPIRY = f"""
WITH due AS MATERIALIZED (
  SELECT id AS due_id FROM payments
  WHERE status = 'PENDING' AND expires_at <= now() AND invoice_id IS NOT NULL
    AND (sweep_after IS NULL OR sweep_after <= now()) AND ($3::bigint IS NULL OR order_id = $3)
  ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE payments SET sweep_after = now() + $2 * interval '1 second' FROM due WHERE id = due_id
RETURNING {_COLUMNS}
"""
# Lost webhooks show in the first minutes; asking for each invoice every minute of its day would use up Xendit's limit.
_OPEN_FOR_LONG = f"""
WITH due AS MATERIALIZED (
  SELECT id AS due_id FROM payments
  WHERE status = 'PENDING' AND invoice_id IS NOT NULL AND invoice_time <= now() - $3 * interval '1 second'
    AND (check_after IS NULL OR check_after <= now())
  ORDER BY invoice_time DESC LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE payments SET check_after = now() + greatest($2 * interval '1 second', (now() - invoice_time) / 10)
FROM due WHERE id = due_id
RETURNING {_COLUMNS}
"""
_TIME_IS_UP = "SELECT expires_at <= now() FROM payments WHERE id = $1"
_SWEEP_LATER = "UPDATE payments SET sweep_after = now() + $2 * interval '1 second' WHERE id = $1"
_FAILED_SHOWN = """
id, order_id, user_id, amount, user_email, status, retry_count, coalesce(reason, '') AS notes, create_time, update_time
"""
_FAILED = "FROM payments WHERE status IN ('EXPIRED', 'FAILED')"
_HAS_TOMBSTONE = "SELECT true FROM rejected_orders WHERE order_id = $1"
_BURY = "INSERT INTO rejected_orders (order_id, reason) VALUES ($1, $2) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Order:
    """What of an order its invoice shows; `invoice_time` is when the invoice was made or first heard of."""

    payment_method: str
    shipping_address: str
    lines: list[Line]
    invoice_time: datetime | None


async def lock_order(tx: Tx, ext_id: str) -> Payment | None:
    """Wait until nobody else works on this order, then give its payment, locked until the transaction's end."""
    await tx.driver().execute(_LOCK_ORDER, ext_id)
    row = await tx.driver().fetchrow(_LOCKED, ext_id)
    return Payment.of(dict(row)) if row else None


async def add(tx: Tx, order: OrderCreated, currency: str, traceparent: str | None) -> Payment | None:
    """Insert the PENDING payment of an order; None when the order has one already."""
    lines = orjson.dumps([line.model_dump(mode="json") for line in order.products]).decode()
    row = await tx.driver().fetchrow(
        _ADD, order.order_id, order.user_id, external_id(order.order_id), order.total_amount, currency,
        order.payment_method, order.shipping_address, lines, traceparent,
    )  # fmt: skip
    return Payment.of(dict(row)) if row else None


async def pay(tx: Tx, payment_id: int) -> bool:
    """Move PENDING to PAID; False when the payment was not PENDING."""
    return bool(await tx.driver().fetchval(_PAY, payment_id))


async def close(tx: Tx, payment_id: int, status: Status, reason: Reason) -> bool:
    """Move PENDING to EXPIRED or FAILED; False when the payment was not PENDING."""
    return bool(await tx.driver().fetchval(_CLOSE, payment_id, status.value, reason.value))


async def mark_paid_late(tx: Tx, payment_id: int) -> bool:
    """Note that money came for a closed payment; True only the first time."""
    return bool(await tx.driver().fetchval(_LATE, payment_id))


async def adopt_invoice(tx: Tx, payment_id: int, invoice_id: str) -> bool:
    """Note the invoice that the gateway named before we knew it; False when it can't be this payment's."""
    return bool(await tx.driver().fetchval(_ADOPT, payment_id, invoice_id))


async def save_invoice(tx: Tx, payment_id: int, invoice_id: str, url: str, expires_at: datetime) -> bool:
    """Store the invoice that the customer can pay; False when it is stored already, or another one is."""
    return bool(await tx.driver().fetchval(_SAVE_INVOICE, payment_id, invoice_id, url, expires_at))


async def count_retry(tx: Tx, payment_id: int) -> None:
    """Count one more retry of making the invoice."""
    await tx.driver().execute(_COUNT_RETRY, payment_id)


async def remember_email(db: Database, payment_id: int, email: str) -> None:
    """Keep the payer's e-mail with the payment."""
    async with db.driver() as connection:
        await connection.execute(_REMEMBER_EMAIL, payment_id, email)


async def claim_past_expiry(db: Database, limit: int, lease_s: float, order_id: int | None = None) -> list[Payment]:
    """Claim open payments (or one) whose invoice has passed its expiry; others get them after `lease_s` seconds."""
    async with db.driver() as connection:
        return _all(await connection.fetch(_PAST_EXPIRY, limit, lease_s, order_id))


async def claim_open_invoices(db: Database, limit: int, lease_s: float, min_age_s: float) -> list[Payment]:
    """Claim open payments whose invoice is at least `min_age_s` seconds old, the youngest first.

    Each again after `lease_s` seconds, or after a tenth of its age where that is longer.
    """
    async with db.driver() as connection:
        return _all(await connection.fetch(_OPEN_FOR_LONG, limit, lease_s, min_age_s))


async def sweep_later(db: Database, payment_id: int, wait_s: float) -> None:
    """Let the sweep look at this payment again after `wait_s` seconds."""
    async with db.driver() as connection:
        await connection.execute(_SWEEP_LATER, payment_id, wait_s)


async def was_rejected(tx: Tx, order_id: int) -> bool:
    """Tell whether the stock of this order was refused before the order was known here."""
    return bool(await tx.driver().fetchval(_HAS_TOMBSTONE, order_id))


async def bury(tx: Tx, order_id: int, reason: str) -> None:
    """Leave a tombstone for an order that is not known here yet."""
    await tx.driver().execute(_BURY, order_id, reason)


async def by_order(db: Database, order_id: int) -> Payment | None:
    """Read the payment of an order."""
    async with db.connection() as conn:
        row = (await conn.execute(select(*_PAYMENT).where(payments.c.order_id == order_id))).mappings().first()
    return Payment.of(dict(row)) if row else None


async def is_past_expiry(db: Database, payment_id: int) -> bool:
    """Tell whether the invoice's time is up by the database's clock, which is the sweep's."""
    async with db.driver() as connection:
        return bool(await connection.fetchval(_TIME_IS_UP, payment_id))


async def order_of(db: Database, payment_id: int) -> Order:
    """Read what the order's invoice shows."""
    table = payments.c
    query = select(table.payment_method, table.shipping_address, table.lines, table.invoice_time)
    async with db.connection() as conn:
        row = (await conn.execute(query.where(table.id == payment_id))).one()
    lines = [Line.model_validate(line) for line in row.lines]
    return Order(row.payment_method, row.shipping_address, lines, row.invoice_time)


async def failed_page(db: Database, number: int, size: int) -> Page[dict[str, Any]]:
    """Read a page of the payments that were closed unpaid."""
    return await pages.read(db, _FAILED_SHOWN, _FAILED, [], number, size)


def _all(rows: Sequence[asyncpg.Record]) -> list[Payment]:
    return [Payment.of(dict(row)) for row in rows]
