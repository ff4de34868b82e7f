"""The rows of `refunds`: one for each source of money that was not owed, and one for each request."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chassis.db.database import Database, Tx
from paymentfc.model.payment import Payment
from paymentfc.model.refund import SETTLEABLE, TAKEN, Cause, Debt, Refund, RefundStatus
from paymentfc.repository import pages
from paymentfc.repository.pages import Page

FIELDS = (
    "id, order_id, payment_id, invoice_id, amount, currency, cause, source, status, failure_code, attempts, note,"
    " gateway_id, due_at, create_time, update_time"
)
# A source is unique for a payment, so that it is refunded once, even if it is recorded again.
_OWE = f"""
INSERT INTO refunds (order_id, payment_id, invoice_id, amount, currency, cause, source)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (payment_id, source) DO NOTHING RETURNING {FIELDS}
"""
_REQUEST = f"""
INSERT INTO refunds
  (order_id, payment_id, invoice_id, amount, currency, cause, note, requested_by, request_key, request_hash)
VALUES ($1, $2, $3, $4, $5, '{Cause.REQUESTED}', $6, $7, $8, $9)
ON CONFLICT (requested_by, request_key) DO NOTHING RETURNING {FIELDS}
"""
_OF_KEY = f"""
SELECT request_hash = $3 AS same, {FIELDS} FROM refunds WHERE requested_by = $1 AND request_key = $2
"""
# Refunds of the money that the payment has taken: those that are owed and those that were requested.
_GIVEN_BACK = f"""
SELECT coalesce(sum(amount), 0) FROM refunds WHERE payment_id = $1 AND (source = '{TAKEN}' OR source IS NULL)
"""
_ORDER_OF = "SELECT order_id FROM refunds WHERE id = $1"
_ONE = f"SELECT {FIELDS} FROM refunds WHERE id = $1"
_SETTLE = f"""
UPDATE refunds SET status = 'SETTLED', settled_at = now(), update_time = now(), note = concat_ws('; ', note, $2::text)
WHERE id = $1 AND status IN ({", ".join(f"'{status}'" for status in SETTLEABLE)}) RETURNING {FIELDS}
"""
# Along the index of status and id, no further than the limit.
COUNTED = """
SELECT status, (
  SELECT count(*) FROM (SELECT FROM refunds AS r WHERE r.status = asked.status ORDER BY r.id LIMIT $2) AS first) AS n
FROM unnest($1::text[]) AS asked (status)
"""
# Of several refunds all of the money, and the status that is furthest from an end.
_OF_ORDER = """
SELECT status, sum(amount) OVER () AS amount FROM refunds WHERE order_id = $1
ORDER BY array_position('{FAILED,MANUAL,DUE,REQUESTED,SUCCEEDED,SETTLED}'::text[], status) LIMIT 1
"""
# One text for each choice of filters, by status and by order: a plan for any of them can't use the index of either.
LISTED = {
    (False, False): "FROM refunds",
    (True, False): "FROM refunds WHERE status = $1",
    (False, True): "FROM refunds WHERE order_id = $1",
    (True, True): "FROM refunds WHERE status = $1 AND order_id = $2",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What an administrator asks for. `key` with its `hash` (32 bytes) makes a repetition one."""

    admin_id: int
    amount: Decimal
    reason: str
    key: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Sum:
    """The refunds of one order together."""

    status: RefundStatus
    amount: Decimal


async def owe(tx: Tx, payment: Payment, debt: Debt, amount: Decimal) -> Refund | None:
    """Add the refund of a source. Returns None if it has a refund already. The payment must be locked."""
    values = (debt.invoice_id, amount, debt.currency, debt.cause.value, debt.source)
    row = await tx.driver().fetchrow(_OWE, payment.order_id, payment.id, *values)
    return Refund.of(dict(row)) if row else None


async def request(tx: Tx, payment: Payment, asked: Request) -> Refund | None:
    """Add the refund that an administrator asks for. Returns None if the key is being used for another order."""
    values = (asked.amount, payment.currency, asked.reason, asked.admin_id, asked.key, asked.hash)
    row = await tx.driver().fetchrow(_REQUEST, payment.order_id, payment.id, payment.invoice_id or "", *values)
    return Refund.of(dict(row)) if row else None


async def of_key(tx: Tx, admin_id: int, key: str, request_hash: bytes) -> tuple[bool, Refund] | None:
    """Return the refund that an administrator has requested with a key, and whether with the same body."""
    row = await tx.driver().fetchrow(_OF_KEY, admin_id, key, request_hash)
    if row is None:
        return None
    fields = dict(row)
    return bool(fields.pop("same")), Refund.of(fields)


async def given_back(tx: Tx, payment_id: int) -> Decimal:
    """Return how much of the money that a payment has taken is given back, or is going to be."""
    return Decimal(await tx.driver().fetchval(_GIVEN_BACK, payment_id))


async def order_of(tx: Tx, refund_id: int) -> int | None:
    order_id: int | None = await tx.driver().fetchval(_ORDER_OF, refund_id)
    return order_id


async def by_id(tx: Tx, refund_id: int) -> Refund:
    (row,) = await tx.driver().fetch(_ONE, refund_id)
    return Refund.of(dict(row))


async def settle(tx: Tx, refund_id: int, note: str) -> Refund | None:
    """Store that a person has given the money back; None in any other status than those of SETTLEABLE."""
    row = await tx.driver().fetchrow(_SETTLE, refund_id, note)
    return Refund.of(dict(row)) if row else None


async def of_order(db: Database, order_id: int) -> Sum | None:
    """Return what is given back, or is to be, of an order's money."""
    async with db.driver() as connection:
        row = await connection.fetchrow(_OF_ORDER, order_id)
    return Sum(RefundStatus(row["status"]), row["amount"]) if row else None


async def counted(db: Database, statuses: Sequence[RefundStatus], limit: int) -> dict[RefundStatus, int]:
    """Count the refunds in each of these statuses, up to `limit`."""
    async with db.driver() as connection:
        rows = await connection.fetch(COUNTED, [status.value for status in statuses], limit)
    return {RefundStatus(row["status"]): row["n"] for row in rows}


async def page(
    db: Database, number: int, size: int, *, status: RefundStatus | None, order_id: int | None
) -> Page[dict[str, Any]]:
    """Read a page of refunds, newest first."""
    given = [value for value in (status and status.value, order_id) if value is not None]
    return await pages.read(db, FIELDS, LISTED[status is not None, order_id is not None], given, number, size)
