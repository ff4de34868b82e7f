"""The one statement that pays open payments, each by the only callback that waits, and publishes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from chassis.db.database import Database
from chassis.events import Event
from paymentfc.model.callback import AnomalyKind
from paymentfc.model.payment import Payment
from paymentfc.repository import audit
from paymentfc.repository.audit import Values
from paymentfc.repository.callbacks import Stored
from paymentfc.repository.confirmations import Confirmation
from paymentfc.repository.together import in_lock_order

# A statement reads as of its beginning, but what it locks or changes as it is by then. Each callback that comes makes
# its invoice due anew, so an unchanged `due_at` says that the callback is still the only one that waits. Row by row:
# see arrivals.py; the arrays in WHERE: see offers.py. Anomalies that are resolved stay as they are: a condition for it
# would have all open ones read.
PAY = f"""
WITH asked AS MATERIALIZED (
  SELECT * FROM unnest(
    $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[], $9::uuid[],
    $10::text[], $11::text[], $12::jsonb[], $13::jsonb[], $14::uuid[], $15::text[], $16::text[], $17::jsonb[]
  ) AS asked (
    place, payment_id, named, invoice, ext_id, ends_at, callback_id, event_id,
    topic, key, payload, headers, entry_id, event, actor, metadata)),
locked AS MATERIALIZED (
  SELECT asked.* FROM asked
  CROSS JOIN LATERAL (
    SELECT FROM payments AS p WHERE p.id = asked.payment_id AND p.status = 'PENDING' AND p.invoice_id = asked.invoice
    LIMIT 1 FOR UPDATE) AS payment
  LEFT JOIN LATERAL (
    SELECT true AS found FROM payment_callbacks AS c
    WHERE c.invoice_id = asked.invoice AND c.external_id = asked.ext_id AND c.outcome = 'confirming'
      AND c.id <> asked.callback_id LIMIT 1) AS other ON true
  LEFT JOIN LATERAL (
    SELECT true AS found FROM payment_receipts AS r
    WHERE r.invoice_id = asked.invoice AND r.external_id = asked.ext_id AND r.receipt IS DISTINCT FROM asked.named
    LIMIT 1) AS further ON true
  WHERE other.found IS NULL AND further.found IS NULL),
taken AS (
  DELETE FROM payment_confirmations USING locked
  WHERE external_id = ANY(ARRAY(SELECT ext_id FROM locked)) AND external_id = ext_id AND invoice_id = invoice
    AND due_at = ends_at
  RETURNING place),
paid AS (
  UPDATE payments SET status = 'PAID', paid_at = now(), receipt = named, update_time = now()
  FROM locked JOIN taken USING (place)
  WHERE id = ANY(ARRAY(SELECT payment_id FROM locked)) AND id = payment_id AND status = 'PENDING'
  RETURNING {audit.ABOUT}, locked.*),
applied AS (
  UPDATE payment_callbacks AS c SET outcome = 'paid', applied_time = now()
  FROM paid WHERE c.id = ANY(ARRAY(SELECT callback_id FROM paid)) AND c.id = callback_id),
explained AS (
  UPDATE payment_anomalies AS a
  SET resolved_at = coalesce(resolved_at, now()), note = CASE WHEN resolved_at IS NULL THEN $1 ELSE note END
  FROM paid WHERE a.invoice_id = ANY(ARRAY(SELECT invoice FROM paid)) AND a.invoice_id = invoice
    AND kind IN ('{AnomalyKind.UNCONFIRMED}', '{AnomalyKind.UNKNOWN_INVOICE}')),
published AS (
  INSERT INTO outbox (event_id, topic, key, payload, headers)
  SELECT event_id, topic, key, payload, headers FROM paid),
noted AS ({audit.ADD_ABOUT.format("entry_id", "event", "actor", "metadata", source="paid")})
SELECT place FROM paid
"""


@dataclass(frozen=True, slots=True)
class Paying:
    """A claimed confirmation that pays: `payment.receipt` is the payment that is taken, `stored` the callback."""

    item: Confirmation
    payment: Payment
    stored: Stored
    event: Event
    entry: Values

    @property
    def external_id(self) -> str:
        return self.item.external_id


async def pay(db: Database, payings: Sequence[Paying], *, note: str) -> list[bool]:
    """Pay open payments of different orders, publish that, and end their confirmations.

    False, and nothing is changed of it, when the payment is not open any more, when another callback has come or
    another payment of the invoice is known, and when the lease was lost. `note` explains anomalies that end by it.
    """
    rows = [(place, *_row(each)) for place, each in in_lock_order(payings, lambda each: each.external_id)]
    async with db.driver() as connection:
        paid = {row["place"] for row in await connection.fetch(PAY, note, *zip(*rows, strict=True))}
    return [place in paid for place in range(len(payings))]


def _row(paying: Paying) -> tuple[object, ...]:
    payment, item, event = paying.payment, paying.item, paying.event
    return (
        payment.id,
        payment.receipt,
        item.invoice_id,
        item.external_id,
        item.due_at,
        paying.stored.id,
        event.event_id,
        event.topic,
        event.key,
        event.payload,
        orjson.dumps(event.headers).decode(),
        *paying.entry,
    )
