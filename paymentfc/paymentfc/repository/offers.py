"""The one statement that stores the invoices of payments that are still open and without one."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.db.database import Database
from paymentfc.model.invoices import Invoice
from paymentfc.repository import audit
from paymentfc.repository.audit import Values
from paymentfc.repository.requests import Claim
from paymentfc.repository.together import in_lock_order

# Nothing happens to a payment unless it is still as it was claimed: its row is locked, and read again after a wait.
# Row by row: see arrivals.py. The arrays in WHERE keep a plan that was made while the tables were empty from reading
# them as a whole.
OFFER = f"""
WITH asked AS MATERIALIZED (
  SELECT * FROM unnest(
    $1::int[], $2::bigint[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
    $9::uuid[], $10::text[], $11::text[], $12::jsonb[]
  ) AS asked (
    place, request_id, token, payment_id, invoice, url, ends_at, email, entry_id, event, actor, metadata)),
locked AS MATERIALIZED (
  SELECT asked.* FROM asked CROSS JOIN LATERAL (
    SELECT FROM payments AS p WHERE p.id = asked.payment_id AND p.status = 'PENDING' AND p.invoice_id IS NULL
    LIMIT 1 FOR UPDATE) AS payment),
offered AS (
  UPDATE payments SET invoice_id = invoice, invoice_url = url, expires_at = ends_at, invoice_time = now(),
    user_email = coalesce(user_email, email), update_time = now()
  FROM locked WHERE id = ANY(ARRAY(SELECT payment_id FROM locked)) AND id = payment_id
    AND status = 'PENDING' AND invoice_id IS NULL
  RETURNING {audit.ABOUT}, locked.*),
done AS (
  UPDATE payment_requests AS r SET status = 'DONE', lease_until = NULL, lease_token = NULL, update_time = now(),
    next_attempt_at = now()
  FROM offered WHERE r.id = ANY(ARRAY(SELECT request_id FROM offered)) AND r.id = request_id AND lease_token = token),
noted AS ({audit.ADD_ABOUT.format("entry_id", "event", "actor", "metadata", source="offered")})
SELECT place FROM offered
"""


@dataclass(frozen=True, slots=True)
class Offer:
    """The invoice that was made for a claimed request; `email` is stored where the payment has none."""

    claim: Claim
    invoice: Invoice
    email: str | None
    entry: Values

    @property
    def external_id(self) -> str:
        return self.claim.payment.external_id


async def offer(db: Database, offers: Sequence[Offer]) -> list[bool]:
    """Store the invoices of different payments, each still open and without one, and finish their requests.

    False: the payment has changed since the claim, and nothing is stored for it.
    """
    rows = [
        (
            place,
            each.claim.id,
            each.claim.lease_token,
            each.claim.payment.id,
            each.invoice.id,
            each.invoice.invoice_url,
            each.invoice.expiry_date,
            each.email,
            *each.entry,
        )
        for place, each in in_lock_order(offers, lambda each: each.external_id)
    ]
    async with db.driver() as connection:
        stored = {row["place"] for row in await connection.fetch(OFFER, *zip(*rows, strict=True))}
    return [place in stored for place in range(len(offers))]
