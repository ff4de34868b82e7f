"""All SQL on orders: checkout's one statement, the locked read and guarded write of a transition, the reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson

from chassis.db.database import Database, Tx
from chassis.ids import uuid7
from orderfc.events import ORDER_CREATED, STOCK_UPDATED
from orderfc.model import Cause, Draft, Status
from orderfc.repository.idempotency import Lease

# In the place of an address whose retention has ended. Also in the condition of a partial index.
ERASED = "erased"

# Along the index (user_id, status, id).
COUNT_OPEN = (
    "SELECT count(*) AS n"
    " FROM (SELECT FROM orders WHERE user_id = $1 AND status = 0 LIMIT greatest($15::bigint, 0)) AS open_order"
)
# When the lease was lost or too many orders are open, `claimed` is empty and nothing is inserted. The number is taken
# first because the events carry it; it is added to their payloads here. This is the only INSERT into `outbox` outside
# chassis/db/outbox.py: it saves checkout a round trip.
_PLACE = """
WITH open AS ({count_open}),
numbered AS MATERIALIZED (SELECT nextval('orders_id_seq') AS id FROM open WHERE n < $15::bigint),
claimed AS ({claimed}),
placed AS (
  INSERT INTO orders (id, user_id, status, total_amount, total_qty, currency, payment_method, shipping_address)
  SELECT id, $1, 0, $2, $3, $4, $5, $6 FROM claimed RETURNING id),
items AS (
  INSERT INTO order_items (order_id, product_id, name, quantity, price)
  SELECT placed.id, line.* FROM placed, unnest($7::bigint[], $8::text[], $9::int[], $10::numeric[]) AS line),
first_step AS (INSERT INTO order_history (order_id, status, cause) SELECT id, 0, 'checkout' FROM placed),
events AS (
  INSERT INTO outbox (event_id, topic, key, payload, headers)
  SELECT e.event_id, e.topic, 'order-' || placed.id, jsonb_build_object('order_id', placed.id) || e.payload, $11::jsonb
  FROM placed, unnest($12::uuid[], $13::text[], $14::jsonb[]) WITH ORDINALITY AS e (event_id, topic, payload, n)
  ORDER BY e.n)
SELECT (SELECT id FROM placed) AS id, n >= $15::bigint AS too_many FROM open
"""
_PLACE_WITHOUT_KEY = _PLACE.format(count_open=COUNT_OPEN, claimed="SELECT id FROM numbered")
_PLACE_WITH_KEY = _PLACE.format(
    count_open=COUNT_OPEN,
    claimed="""
  UPDATE idempotency_keys AS k SET order_id = numbered.id
  FROM numbered WHERE k.user_id = $1 AND k.key = $16 AND k.lease_token = $17 AND k.order_id IS NULL
  RETURNING numbered.id""",
)

# The first half of the advisory lock's key: an arbitrary constant that keeps these locks apart from others.
_LOCK_CLASS = 0x4F50454E
# A separate statement, so that the next one sees what the previous holder of the lock has committed.
_LOCK_CUSTOMER = "SELECT pg_advisory_xact_lock($1, $2)"
_LOCKED_STATUS = "SELECT status FROM orders WHERE id = $1 FOR UPDATE"
_CHANGE_STATUS = """
WITH changed AS (
  UPDATE orders SET status = $2, updated_at = now() WHERE id = $1 AND status = ANY($3::smallint[]) RETURNING id)
INSERT INTO order_history (order_id, status, cause) SELECT id, $2, $4 FROM changed RETURNING true
"""
_QUANTITIES = "SELECT product_id, quantity FROM order_items WHERE order_id = $1 ORDER BY product_id"

# The JSON of the answer, as text: to make it here would hold up all other requests, for 0.15 s with a page of 10,000
# lines, and the driver's decoder would turn amounts into binary floats.
_WIRE = f"('{{{','.join(status.wire for status in Status)}}}'::text[])"
_VIEW = f"""
SELECT o.id, json_build_object(
  'order_id', o.id, 'total_amount', trim_scale(o.total_amount), 'total_qty', o.total_qty,
  'payment_method', o.payment_method, 'shipping_address', o.shipping_address,
  'products', (
    SELECT json_agg(json_build_object('product_id', i.product_id, 'quantity', i.quantity, 'price', trim_scale(i.price))
                    ORDER BY i.product_id)
    FROM order_items i WHERE i.order_id = o.id),
  'history', (
    SELECT json_agg(json_build_object(
      'status', {_WIRE}[h.status + 1],
      'timestamp', to_char(h.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) ORDER BY h.id)
    FROM order_history h WHERE h.order_id = o.id),
  'status', {_WIRE}[o.status + 1])::text AS view
FROM orders o
"""
_ONE = f"{_VIEW} WHERE o.id = $1 AND ($2::bigint IS NULL OR o.user_id = $2)"
# A statement per shape: a condition that may be switched off can't be a condition of an index.
_PAGE = f"{_VIEW} WHERE o.user_id = $1 AND o.id < $2 ORDER BY o.id DESC LIMIT $3"
_PAGE_OF_STATUS = f"{_VIEW} WHERE o.user_id = $1 AND o.status = $4 AND o.id < $2 ORDER BY o.id DESC LIMIT $3"
_NO_ID = 2**63 - 1
# Orders that are still open keep what they need.
_ERASE = f"""
UPDATE orders SET shipping_address = '{ERASED}' WHERE id = ANY(ARRAY(
  SELECT id FROM orders WHERE shipping_address <> '{ERASED}' AND status <> 0
    AND created_at < now() - $1 * interval '1 day'
  ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, slots=True)
class Payloads:
    """The JSON of checkout's two events without their `order_id`, and the headers (trace context) of both."""

    order_created: str
    stock_updated: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Placed:
    """The order's number. None: nothing was written, as the lease was lost or too many orders are open."""

    order_id: int | None
    too_many: bool


async def lock_customer(tx: Tx, user_id: int) -> None:
    """Let a customer's checkouts wait for each other until the transaction ends. Two customers may share a lock."""
    await tx.driver().execute(_LOCK_CUSTOMER, _LOCK_CLASS, user_id & 0x7FFFFFFF)


async def place(db: Database, draft: Draft, payloads: Payloads, lease: Lease | None, max_open: int) -> Placed:
    """Store the order with its items, first history row and events, and mark the key done, in one statement.

    Nothing is stored when the customer has `max_open` open orders or more. Statements that run at the same time do not
    count each other's orders.
    """
    async with db.driver() as connection:
        return await _place(connection, draft, payloads, lease, max_open)


async def place_in(tx: Tx, draft: Draft, payloads: Payloads, lease: Lease | None, max_open: int) -> Placed:
    """The same as `place`, in a transaction in which the customer is locked: then the count is exact."""
    return await _place(tx.driver(), draft, payloads, lease, max_open)


async def _place(
    connection: asyncpg.Connection, draft: Draft, payloads: Payloads, lease: Lease | None, max_open: int
) -> Placed:
    event_ids: list[UUID] = [uuid7(), uuid7()]
    arguments = [
        draft.user_id,
        draft.total_amount,
        draft.total_quantity,
        draft.currency,
        draft.payment_method,
        draft.shipping_address,
        [line.product_id for line in draft.lines],
        [line.name for line in draft.lines],
        [line.quantity for line in draft.lines],
        [line.price for line in draft.lines],
        orjson.dumps(payloads.headers).decode(),
        event_ids,
        [ORDER_CREATED, STOCK_UPDATED],
        [payloads.order_created, payloads.stock_updated],
        max_open,
    ]
    if lease is None:
        row = await connection.fetchrow(_PLACE_WITHOUT_KEY, *arguments)
    else:
        row = await connection.fetchrow(_PLACE_WITH_KEY, *arguments, lease.key, lease.token)
    if row is None:
        raise RuntimeError("a count returned no row")
    return Placed(row["id"], row["too_many"])


async def locked_status(tx: Tx, order_id: int) -> Status | None:
    """Read an order's status and lock the order until the transaction ends; None for an unknown order."""
    status: int | None = await tx.driver().fetchval(_LOCKED_STATUS, order_id)
    return None if status is None else Status(status)


async def change_status(tx: Tx, order_id: int, to: Status, allowed: Sequence[Status], cause: Cause) -> bool:
    """Move an order that is in one of the allowed statuses and append to its history; False if it is in another."""
    return bool(await tx.driver().fetchval(_CHANGE_STATUS, order_id, int(to), [int(s) for s in allowed], cause.value))


async def quantities(tx: Tx, order_id: int) -> list[tuple[int, int]]:
    """List the (product id, quantity) pairs of an order by product id."""
    rows = await tx.driver().fetch(_QUANTITIES, order_id)
    return [(row["product_id"], row["quantity"]) for row in rows]


async def view(db: Database, order_id: int, owner: int | None) -> str | None:
    """Read an order as the JSON text of its answer; None for an unknown order or one of another owner."""
    async with db.driver() as connection:
        text: str | None = await connection.fetchval(_ONE, order_id, owner, column=1)
    return text


async def history(
    db: Database, user_id: int, *, before_id: int | None, status: Status | None, limit: int
) -> list[tuple[int, str]]:
    """Read a user's orders, newest first: at most `limit`, older than `before_id`, as pairs of id and JSON text."""
    arguments = (user_id, _NO_ID if before_id is None else before_id, limit)
    async with db.driver() as connection:
        if status is None:
            rows = await connection.fetch(_PAGE, *arguments)
        else:
            rows = await connection.fetch(_PAGE_OF_STATUS, *arguments, int(status))
    return [(row["id"], row["view"]) for row in rows]


async def erase_addresses(driver: asyncpg.Connection, limit: int, *, days: int) -> int:
    """Replace the address of up to `limit` closed orders older than `days`. Return how many."""
    result: str = await driver.execute(_ERASE, days, limit)
    return int(result.rsplit(maxsplit=1)[-1])
