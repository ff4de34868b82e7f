"""The one statement that registers orders: inbox, payments, audit entries, and the requests for their invoices."""

from collections.abc import Sequence

import orjson

from chassis import telemetry
from chassis.db.database import Tx
from chassis.events import Message
from paymentfc.events import OrderCreated
from paymentfc.model.payment import external_id
from paymentfc.repository import audit
from paymentfc.repository.audit import Values

Created = tuple[Message, OrderCreated]

# The id, event, actor and metadata of an entry: audit.Values.
_ENTRY = {"entry_id": "uuid", "event": "text", "actor": "text", "metadata": "jsonb"}
_ASKED = {
    "event_id": "uuid",
    "order_id": "bigint",
    "user_id": "bigint",
    "external_id": "text",
    "amount": "numeric",
    "payment_method": "text",
    "shipping_address": "text",
    "lines": "jsonb",
    "traceparent": "text",
    **_ENTRY,
}
# Each is a subquery, because the planner must not see how long the arrays are: it would plan each statement anew, and a
# run of one would cost PostgreSQL twice as much.
_ARRAYS = ", ".join(f"(SELECT ${number}::{kind}[])" for number, kind in enumerate(_ASKED.values(), start=3))
# The only INSERT into `inbox` outside chassis/db/inbox.py: it saves a round trip. As there, its rows are locked in the
# order of their ids. Of the deliveries of an event the first counts, and of the new events of an order. What overtook
# the order is looked up row by row: the planner must not read a whole table instead, as it may for EXISTS. It decides
# whether an invoice is needed; that request is then left to the caller.
REGISTER = f"""
WITH asked AS MATERIALIZED (
  SELECT * FROM unnest({_ARRAYS}) WITH ORDINALITY AS asked ({", ".join(_ASKED)}, place)),
first AS (
  INSERT INTO inbox (consumer, event_id) SELECT $1, event_id FROM asked ORDER BY event_id
  ON CONFLICT DO NOTHING RETURNING event_id),
once AS (SELECT DISTINCT ON (event_id) * FROM asked ORDER BY event_id, place),
fresh AS MATERIALIZED (
  SELECT DISTINCT ON (order_id) once.* FROM once JOIN first USING (event_id) ORDER BY order_id, place),
added AS (
  INSERT INTO payments (order_id, user_id, external_id, amount, currency, payment_method, shipping_address, lines,
                        traceparent)
  SELECT order_id, user_id, external_id, amount, $2, payment_method, shipping_address, lines, traceparent
  FROM fresh ORDER BY place
  ON CONFLICT (order_id) DO NOTHING RETURNING id, order_id),
registered AS MATERIALIZED (
  SELECT added.id, fresh.*, coalesce(rejected.found, waiting.found, false) AS overtaken
  FROM added JOIN fresh ON fresh.order_id = added.order_id
  LEFT JOIN LATERAL (SELECT true AS found FROM rejected_orders WHERE order_id = fresh.order_id LIMIT 1) AS rejected
    ON true
  LEFT JOIN LATERAL (
    SELECT true AS found FROM payment_callbacks
    WHERE external_id = fresh.external_id AND outcome = 'waiting' LIMIT 1) AS waiting ON true),
noted AS ({audit.ADD_ABOUT.format(*_ENTRY, source="registered")}),
requested AS (
  INSERT INTO payment_requests (payment_id, order_id)
  SELECT id, order_id FROM registered WHERE NOT overtaken ORDER BY place)
SELECT place, overtaken FROM registered ORDER BY place
"""


async def register(
    tx: Tx, consumer: str, run: Sequence[Created], currency: str, entries: Sequence[Values]
) -> list[tuple[Created, bool]]:
    """Insert the PENDING payments of orders that this transaction has locked, each with its audit entry.

    Returns those that were not known, in the order of the run, and whether a rejection or callbacks came before the
    order: only if not, its invoice is requested.
    """
    rows = [
        (
            message.identity,
            order.order_id,
            order.user_id,
            external_id(order.order_id),
            order.total_amount,
            order.payment_method,
            order.shipping_address,
            orjson.dumps([line.model_dump(mode="json") for line in order.products]).decode(),
            telemetry.traceparent(message.headers),
            *entry,
        )
        for (message, order), entry in zip(run, entries, strict=True)
    ]
    found = await tx.driver().fetch(REGISTER, consumer, currency, *zip(*rows, strict=True))
    return [(run[place - 1], overtaken) for place, overtaken in found]
