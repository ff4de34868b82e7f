"""The one statement that registers an order: inbox, payment, audit entry, and the request for its invoice."""

import orjson

from chassis.db.database import Tx
from chassis.events import Message
from paymentfc.events import OrderCreated
from paymentfc.model.payment import Payment, external_id
from paymentfc.repository import audit, payments
from paymentfc.repository.audit import Values

# The only INSERT into `inbox` outside chassis/db/inbox.py: it saves a round trip. What overtook the order decides
# whether an invoice is needed: its request is then left to the caller.
_REGISTER = f"""
WITH first AS (INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true),
overtaken AS MATERIALIZED (
  SELECT EXISTS (SELECT FROM rejected_orders WHERE order_id = $3)
    OR EXISTS (SELECT FROM payment_callbacks WHERE external_id = $4 AND outcome = 'waiting') AS overtaken),
added AS (
  INSERT INTO payments (order_id, user_id, external_id, amount, currency, payment_method, shipping_address, lines,
                        traceparent)
  SELECT $3::bigint, $5::bigint, $4::text, $6::numeric, $7::text, $8::text, $9::text, $10::jsonb, $11::text FROM first
  ON CONFLICT (order_id) DO NOTHING RETURNING {payments.COLUMNS}),
noted AS ({audit.add_about("added", 12)}),
requested AS (
  INSERT INTO payment_requests (payment_id, order_id) SELECT id, order_id FROM added, overtaken WHERE NOT overtaken)
SELECT added.*, overtaken FROM added, overtaken
"""


async def register(
    tx: Tx, consumer: str, message: Message, order: OrderCreated, currency: str, traceparent: str | None, entry: Values
) -> tuple[Payment, bool] | None:
    """Insert the PENDING payment of an order that this transaction has locked; None when it is known.

    Also returned is whether a rejection or callbacks came before the order: only if not, its invoice is requested.
    """
    lines = orjson.dumps([line.model_dump(mode="json") for line in order.products]).decode()
    row = await tx.driver().fetchrow(
        _REGISTER,
        consumer,
        message.identity,
        order.order_id,
        external_id(order.order_id),
        order.user_id,
        order.total_amount,
        currency,
        order.payment_method,
        order.shipping_address,
        lines,
        traceparent,
        *entry,
    )
    if row is None:
        return None
    fields = dict(row)
    overtaken: bool = fields.pop("overtaken")
    return Payment.of(fields), overtaken
