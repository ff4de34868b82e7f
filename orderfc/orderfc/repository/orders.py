"""All SQL on orders: checkout's one statement, the locked read and guarded write of a transition, the reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from chassis.db.database import Database, Tx
from chassis.ids import uuid7
from orderfc.events import ORDER_CREATED, STOCK_UPDATED
from orderfc.model import Cause, Draft, Status
from orderfc.repository.idempotency import Lease

# When the lease was lost, `claimed` is empty and nothing is inserted. The number is taken first because the events
# carry it; it is added to their payloads here. This is the only INSERT into `outbox` outside chassis/db/outbox.py: it
# saves checkout a round trip.
_PLACE = """
WITH numbered AS MATERIALIZED (SELECT nextval('orders_id_seq') AS id),
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
SELECT id FROM placed
"""
_PLACE_WITHOUT_KEY = _PLACE.format(claimed="SELECT id FROM numbered")
_PLACE_WITH_KEY = _PLACE.format(
    claimed="""
  UPDATE idempotency_keys AS k SET order_id = numbered.id
  FROM numbered WHERE k.user_id = $1 AND k.key = $15 AND k.lease_token = $16 AND k.order_id IS NULL
  RETURNING numbered.id"""
)

_LOCKED_STATUS = "SELECT status FROM orders WHERE id = $1 FOR UPDATE"
_CHANGE_STATUS = """
WITH changed AS (
  UPDATE orders SET status = $2, updated_at = now() WHERE id = $1 AND status = ANY($3::smallint[]) RETURNING id)
INSERT INTO order_history (order_id, status, cause) SELECT id, $2, $4 FROM changed RETURNING true
"""
_QUANTITIES = "SELECT product_id, quantity FROM order_items WHERE order_id = $1 ORDER BY product_id"

# As text: the driver's JSON decoder would turn amounts into binary floats.
_VIEW = """
SELECT json_build_object(
  'order_id', o.id, 'total_amount', o.total_amount, 'total_qty', o.total_qty, 'payment_method', o.payment_method,
  'shipping_address', o.shipping_address, 'status', o.status,
  'products', (
    SELECT json_agg(json_build_object('product_id', i.product_id, 'quantity', i.quantity, 'price', i.price)
                    ORDER BY i.product_id)
    FROM order_items i WHERE i.order_id = o.id),
  'history', (
    SELECT json_agg(json_build_object('status', h.status, 'timestamp', h.created_at) ORDER BY h.id)
    FROM order_history h WHERE h.order_id = o.id))::text AS view
FROM orders o
"""
_ONE = f"{_VIEW} WHERE o.id = $1 AND ($2::bigint IS NULL OR o.user_id = $2)"
_PAGE = f"""{_VIEW}
WHERE o.user_id = $1 AND ($2::bigint IS NULL OR o.id < $2) AND ($3::smallint IS NULL OR o.status = $3)
ORDER BY o.id DESC LIMIT $4"""


@dataclass(frozen=True, slots=True)
class Payloads:
    """The JSON of checkout's two events without their `order_id`, and the headers (trace context) of both."""

    order_created: str
    stock_updated: str
    headers: dict[str, str]


async def place(db: Database, draft: Draft, payloads: Payloads, lease: Lease | None) -> int | None:
    """Store the order with its items, first history row and events, and mark the key done, in one statement.

    Returns the order's number, or None when the lease was lost and nothing was written.
    """
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
    ]
    async with db.driver() as connection:
        if lease is None:
            number = await connection.fetchval(_PLACE_WITHOUT_KEY, *arguments)
        else:
            number = await connection.fetchval(_PLACE_WITH_KEY, *arguments, lease.key, lease.token)
    return None if number is None else int(number)


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
    """Read an order as JSON text, statuses as numbers; None for an unknown order or one of another owner."""
    async with db.driver() as connection:
        text: str | None = await connection.fetchval(_ONE, order_id, owner)
    return text


async def history(db: Database, user_id: int, *, before_id: int | None, status: Status | None, limit: int) -> list[str]:
    """Read a user's orders as JSON texts, newest first: at most `limit`, older than `before_id`."""
    async with db.driver() as connection:
        rows = await connection.fetch(_PAGE, user_id, before_id, None if status is None else int(status), limit)
    return [row["view"] for row in rows]
