"""The SQL of the routes for administrators: one order with all that is stored, and the orders of all customers.

A list follows the primary key or the index of a customer's orders, newest first. A page reads at most SCAN rows,
whatever its filters leave of them, and may so be short and still have a next one. No index leads from a product to its
orders, because each checkout would write it: the lines of the orders that are read are looked up by their key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from chassis.db.database import Database
from orderfc.model import Status

SCAN = 10_000
# `created_at` is the begin of the transaction, and the id is drawn in it: so much later at the most may an order with a
# smaller id be created.
SLACK = timedelta(minutes=1)
_NO_ID = 2**63 - 1

_SHOWN = "id, user_id, status, total_amount, total_qty, currency, payment_method, created_at, updated_at"
_BEHIND = "SELECT {shown} FROM orders WHERE id < $1 AND id >= $2{{which}} ORDER BY id DESC LIMIT $3"
# The line is a subquery for one value: EXISTS would become a join, which may read all lines there are.
_PAGE = f"""
SELECT * FROM ({_BEHIND.format(shown=_SHOWN)}) AS o
WHERE ($4::smallint IS NULL OR status = $4)
  AND ($5::timestamptz IS NULL OR created_at >= $5) AND ($6::timestamptz IS NULL OR created_at < $6)
  AND ($8::bigint IS NULL OR (SELECT true FROM order_items i WHERE i.order_id = o.id AND i.product_id = $8))
ORDER BY id DESC LIMIT $7
"""
_LAST_READ = f"SELECT id FROM ({_BEHIND.format(shown='id')}) AS o ORDER BY id DESC OFFSET $3 - 1"
# The first order of a time, by halves: there is no index on the time, and ids ascend with it.
_FIRST_SINCE = """
WITH RECURSIVE halves (low, high) AS (
  SELECT coalesce((SELECT min(id) FROM orders), 1), coalesce((SELECT max(id) FROM orders), 0) + 1
  UNION ALL
  SELECT CASE WHEN is_early THEN middle + 1 ELSE low END, CASE WHEN is_early THEN high ELSE middle END
  FROM (
    SELECT low, high, low + (high - low) / 2 AS middle, coalesce((
      SELECT created_at < $1 FROM orders WHERE id >= low + (high - low) / 2 ORDER BY id LIMIT 1), false) AS is_early
    FROM halves WHERE low < high) AS half)
SELECT min(low) FROM halves WHERE low >= high
"""
_ONE = """
SELECT json_build_object(
  'order_id', o.id, 'user_id', o.user_id, 'status', o.status, 'total_amount', o.total_amount,
  'total_qty', o.total_qty, 'currency', o.currency, 'payment_method', o.payment_method,
  'shipping_address', o.shipping_address, 'created_at', o.created_at, 'updated_at', o.updated_at,
  'lines', (
    SELECT json_agg(json_build_object(
      'product_id', i.product_id, 'name', i.name, 'quantity', i.quantity, 'price', i.price) ORDER BY i.product_id)
    FROM order_items i WHERE i.order_id = o.id),
  'history', (
    SELECT json_agg(json_build_object('status', h.status, 'cause', h.cause, 'timestamp', h.created_at) ORDER BY h.id)
    FROM order_history h WHERE h.order_id = o.id))::text
FROM orders o WHERE o.id = $1
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which orders a list has; `created_to` is exclusive. Of `ids`, those that exist and fit the rest."""

    status: Status | None = None
    user_id: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    product_id: int | None = None
    ids: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Orders, newest first; `next_before_id` leads to the next page, None at the end."""

    rows: list[asyncpg.Record]
    next_before_id: int | None


async def page(db: Database, wanted: Filter, before_id: int | None, limit: int, scan: int = SCAN) -> Page:
    """Read the orders with ids below `before_id`."""
    # One snapshot: an order placed between the reads would move the end of the page, and the next one repeat orders.
    async with db.driver() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        low, high = await _ids_of(connection, wanted)
        reach = (min(high, before_id or _NO_ID), low, scan)
        which, given = _which(wanted, 9)
        status = None if wanted.status is None else int(wanted.status)
        kept = (status, wanted.created_from, wanted.created_to, limit, wanted.product_id)
        rows = list(await connection.fetch(_PAGE.format(which=which), *reach, *kept, *given))
        if len(rows) == limit:
            return Page(rows, rows[-1]["id"])
        which, given = _which(wanted, 4)
        return Page(rows, await connection.fetchval(_LAST_READ.format(which=which), *reach, *given))


def _which(wanted: Filter, first: int) -> tuple[str, list[object]]:
    """Return the conditions that lead into an index, with parameters numbered from `first`, and their values."""
    given = {"user_id = ${}": wanted.user_id, "id = ANY(${}::bigint[])": wanted.ids}
    used = [(text, value) for text, value in given.items() if value is not None]
    text = "".join(f" AND {text.format(number)}" for number, (text, _) in enumerate(used, first))
    return text, [value for _, value in used]


async def _ids_of(connection: asyncpg.Connection, wanted: Filter) -> tuple[int, int]:
    """Return the bounds of the ids of the orders of a time: the first, and the one behind the last."""
    low, high = 0, _NO_ID
    if wanted.created_from is not None:
        low = await connection.fetchval(_FIRST_SINCE, wanted.created_from - SLACK)
    if wanted.created_to is not None:
        high = await connection.fetchval(_FIRST_SINCE, wanted.created_to + SLACK)
    return low, high


async def one(db: Database, order_id: int) -> str | None:
    """Read all that is stored of an order, as JSON text with statuses as numbers, or None for an unknown order."""
    async with db.driver() as connection:
        text: str | None = await connection.fetchval(_ONE, order_id)
    return text
