"""The rows of `payment_callbacks`: every callback of Xendit, one row per distinct case."""

from dataclasses import dataclass
from decimal import Decimal

import asyncpg

from chassis.db.database import Tx
from paymentfc.model.callback import Callback, Outcome, amount_text

_ADD = """
INSERT INTO payment_callbacks
  (invoice_id, external_id, status, amount, asked_amount, currency, body, webhook_id, receipt)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (invoice_id, external_id, status, amount, currency) DO NOTHING
RETURNING id
"""
_COUNT_AGAIN = """
UPDATE payment_callbacks SET deliveries = deliveries + 1
WHERE invoice_id = $1 AND external_id = $2 AND status = $3 AND amount = $4 AND currency = $5
"""
_SET_OUTCOME = "UPDATE payment_callbacks SET outcome = $2, applied_time = now() WHERE id = $1"
_NAMES = ("id", "invoice_id", "external_id", "status", "asked_amount", "amount", "currency", "receipt")
_COLUMNS = ", ".join(_NAMES)
JOINED = ", ".join(f"c.{name} AS c_{name}" for name in _NAMES)
"""The columns of a callback `c` in a row of something else, see `joined`."""
_WAITING = f"""
SELECT {_COLUMNS} FROM payment_callbacks WHERE external_id = $1 AND outcome = 'waiting' ORDER BY id
"""
# They are taken up in one transaction, and other orders wait for it. A true order has one invoice, or a few.
MAX_WAITING = 20
_ARE_MANY = f"""
SELECT count(*) > {MAX_WAITING} FROM (
  SELECT FROM payment_callbacks WHERE external_id = $1 AND outcome = 'waiting' LIMIT {MAX_WAITING} + 1) AS waiting
"""
_CONFIRMING = f"""
SELECT {_COLUMNS} FROM payment_callbacks
WHERE invoice_id = $1 AND external_id = $2 AND outcome = 'confirming' ORDER BY id
"""
_CONFIRM_AGAIN = """
UPDATE payment_callbacks SET outcome = 'confirming'
WHERE invoice_id = $1 AND external_id = $2 AND status = $3 AND amount = $4 AND currency = $5
  AND outcome IN ('confirming', 'unconfirmed') RETURNING true
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A callback with the id of its row."""

    id: int
    callback: Callback


async def add(tx: Tx, callback: Callback, body: str, webhook_id: str | None) -> Stored | None:
    """Store a callback. Returns None for a repeated one, which is only counted."""
    amount = amount_text(callback.judged_amount)
    key = (callback.invoice_id, callback.external_id, callback.status, amount)
    driver = tx.driver()
    asked = amount_text(callback.amount)
    row_id = await driver.fetchval(_ADD, *key, asked, callback.currency, body, webhook_id, callback.receipt)
    if row_id is None:
        await driver.execute(_COUNT_AGAIN, *key, callback.currency)
        return None
    return Stored(row_id, callback)


async def set_outcome(tx: Tx, stored: Stored, outcome: Outcome) -> None:
    await tx.driver().execute(_SET_OUTCOME, stored.id, outcome.value)


async def are_many(tx: Tx, ext_id: str) -> bool:
    """Whether more than MAX_WAITING callbacks wait for one order."""
    return bool(await tx.driver().fetchval(_ARE_MANY, ext_id))


async def waiting(tx: Tx, ext_id: str) -> list[Stored]:
    """Return the callbacks that came before their payment, in the order of arrival."""
    return [_stored(row) for row in await tx.driver().fetch(_WAITING, ext_id)]


async def confirming(tx: Tx, invoice_id: str, ext_id: str) -> list[Stored]:
    """Return the callbacks about an invoice that Xendit has to confirm, in the order of arrival."""
    return [_stored(row) for row in await tx.driver().fetch(_CONFIRMING, invoice_id, ext_id)]


async def confirm_again(tx: Tx, callback: Callback) -> bool:
    """Whether a repeated callback is not confirmed yet; one that was given up begins anew."""
    key = (callback.invoice_id, callback.external_id, callback.status, amount_text(callback.judged_amount))
    return bool(await tx.driver().fetchval(_CONFIRM_AGAIN, *key, callback.currency))


def joined(row: asyncpg.Record) -> Stored | None:
    """Return the callback in a row with the columns JOINED, or None if the row has none."""
    return _stored(row, "c_") if row["c_id"] is not None else None


def _stored(row: asyncpg.Record, prefix: str = "") -> Stored:
    callback = Callback(
        invoice_id=row[f"{prefix}invoice_id"],
        external_id=row[f"{prefix}external_id"],
        status=row[f"{prefix}status"],
        amount=Decimal(row[f"{prefix}asked_amount"]),
        paid_amount=Decimal(row[f"{prefix}amount"]),
        currency=row[f"{prefix}currency"],
        receipt=row[f"{prefix}receipt"],
    )
    return Stored(row[f"{prefix}id"], callback)
