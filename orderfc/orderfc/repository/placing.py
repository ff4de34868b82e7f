"""The one statement by which checkouts become orders: the orders of several customers, or of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg
import orjson

from chassis.db.database import Database, Tx
from chassis.ids import uuid7
from orderfc.events import ORDER_CREATED, STOCK_UPDATED
from orderfc.model import Draft
from orderfc.repository.idempotency import Lease, lock_order

# Along the index (user_id, status, id). $1 is the number of open orders at which a customer may place no more.
COUNT_OPEN = (
    "SELECT count(*) FROM ("
    "SELECT FROM orders WHERE user_id = asked.user_id AND status = 0 LIMIT greatest($1::bigint, 0)) AS open_order"
)
# `place` numbers the orders of the statement. Nothing is inserted for one whose customer has too many open orders, or
# whose lease was lost. The numbers of orders are taken first because the events carry them; they are added to the
# payloads here. Keys are locked in the order in which all statements lock them (`lock_order`).
# An INSERT into `outbox` beside that of chassis/db/outbox.py: it saves checkout a round trip.
_PLACE = f"""
WITH asked AS MATERIALIZED (
  SELECT * FROM unnest(
    $2::bigint[], $3::numeric[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::jsonb[],
    $11::uuid[], $12::jsonb[], $13::uuid[], $14::jsonb[]
  ) WITH ORDINALITY AS asked (
    user_id, total_amount, total_qty, currency, payment_method, shipping_address, key, lease_token, headers,
    created_id, created, updated_id, updated, place)),
counted AS MATERIALIZED (SELECT place, ({COUNT_OPEN}) AS open_orders FROM asked),
leased AS MATERIALIZED (
  SELECT asked.place FROM asked JOIN idempotency_keys AS k USING (user_id, key)
  WHERE k.lease_token = asked.lease_token AND k.order_id IS NULL ORDER BY asked.place FOR UPDATE OF k),
numbered AS MATERIALIZED (
  SELECT asked.*, nextval('orders_id_seq') AS id FROM asked JOIN counted USING (place)
  WHERE open_orders < $1 AND (key IS NULL OR place IN (SELECT place FROM leased))),
claimed AS (
  UPDATE idempotency_keys AS k SET order_id = numbered.id FROM numbered
  WHERE k.user_id = numbered.user_id AND k.key = numbered.key),
placed AS (
  INSERT INTO orders (id, user_id, status, total_amount, total_qty, currency, payment_method, shipping_address)
  SELECT id, user_id, 0, total_amount, total_qty, currency, payment_method, shipping_address FROM numbered),
items AS (
  INSERT INTO order_items (order_id, product_id, name, quantity, price)
  SELECT numbered.id, line.product_id, line.name, line.quantity, line.price
  FROM unnest($15::bigint[], $16::bigint[], $17::text[], $18::int[], $19::numeric[])
    AS line (place, product_id, name, quantity, price) JOIN numbered USING (place)),
first_step AS (INSERT INTO order_history (order_id, status, cause) SELECT id, 0, 'checkout' FROM numbered),
events AS (
  INSERT INTO outbox (event_id, topic, key, payload, headers)
  SELECT e.event_id, e.topic, 'order-' || id, jsonb_build_object('order_id', id) || e.payload, headers
  FROM numbered, LATERAL (
    VALUES (1, created_id, '{ORDER_CREATED}', created), (2, updated_id, '{STOCK_UPDATED}', updated)
  ) AS e (n, event_id, topic, payload)
  ORDER BY place, e.n)
SELECT id, open_orders >= $1 AS too_many FROM counted LEFT JOIN numbered USING (place) ORDER BY place
"""

# The first half of the advisory lock's key: an arbitrary constant that keeps these locks apart from others.
_LOCK_CLASS = 0x4F50454E
# A separate statement, so that the next one sees what the previous holder of the lock has committed.
_LOCK_CUSTOMER = "SELECT pg_advisory_xact_lock($1, $2)"


@dataclass(frozen=True, slots=True)
class Payloads:
    """The JSON of checkout's two events without their `order_id`, and the headers (trace context) of both."""

    order_created: str
    stock_updated: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to be placed, with its events, and the lease of its idempotency key if it has one."""

    draft: Draft
    payloads: Payloads
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """The order's number, or None if nothing was written because the lease was lost or too many orders are open."""

    order_id: int | None
    too_many: bool


async def lock_customer(tx: Tx, user_id: int) -> None:
    """Lock the customer until the transaction ends, so that their checkouts wait. Two customers may share a lock."""
    await tx.driver().execute(_LOCK_CUSTOMER, _LOCK_CLASS, user_id & 0x7FFFFFFF)


async def place(db: Database, orders: Sequence[NewOrder], max_open: int) -> list[Placed]:
    """Store orders with their items, first history rows and events, and mark their keys done, in one statement.

    At most one order of each customer. It is not stored when the customer has `max_open` open orders or more.
    Statements that run at the same time do not count each other's orders.
    """
    async with db.driver() as connection:
        return await _place(connection, orders, max_open)


async def place_in(tx: Tx, order: NewOrder, max_open: int) -> Placed:
    """Store one order as `place` does, in a transaction in which the customer is locked: then the count is exact."""
    [placed] = await _place(tx.driver(), [order], max_open)
    return placed


async def _place(connection: asyncpg.Connection, orders: Sequence[NewOrder], max_open: int) -> list[Placed]:
    indices = sorted(range(len(orders)), key=lambda index: lock_order(orders[index].lease))
    by_lock = [orders[index] for index in indices]
    rows = await connection.fetch(_PLACE, max_open, *_heads(by_lock), *_lines(by_lock))
    placed = {index: Placed(row["id"], row["too_many"]) for index, row in zip(indices, rows, strict=True)}
    return [placed[index] for index in range(len(orders))]


def _heads(orders: Sequence[NewOrder]) -> list[list[object]]:
    """Return the columns of `asked`, one value for each order."""
    return _columns(
        (
            order.draft.user_id,
            order.draft.total_amount,
            order.draft.total_quantity,
            order.draft.currency,
            order.draft.payment_method,
            order.draft.shipping_address,
            order.lease and order.lease.key,
            order.lease and order.lease.token,
            orjson.dumps(order.payloads.headers).decode(),
            uuid7(),
            order.payloads.order_created,
            uuid7(),
            order.payloads.stock_updated,
        )
        for order in orders
    )


def _lines(orders: Sequence[NewOrder]) -> list[list[object]]:
    """Return the columns of all lines, each with the place of its order."""
    return _columns(
        (place, line.product_id, line.name, line.quantity, line.price)
        for place, order in enumerate(orders, 1)
        for line in order.draft.lines
    )


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
