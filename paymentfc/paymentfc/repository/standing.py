"""What a customer can do about an open payment, read from `payments` and `payment_anomalies`."""

from dataclasses import dataclass

from chassis.db.database import Database

# A sweep that found a contradiction comes back in an hour, one that found no answer much sooner.
_READ = """
SELECT coalesce(p.expires_at <= now(), false) AS overdue,
  coalesce(p.sweep_after > now() + interval '10 minutes', false) AS held,
  EXISTS (SELECT 1 FROM payment_anomalies a
    WHERE a.invoice_id = p.invoice_id AND a.paid AND a.kind IN ('amount_mismatch', 'currency_mismatch')) AS disputed
FROM payments p WHERE p.id = $1
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """`overdue`: the invoice has ended, by the clock that the sweep uses. `held`: the sweep found a contradiction.

    `disputed`: a payment of a wrong amount or currency is reported.
    """

    overdue: bool
    held: bool
    disputed: bool


async def of_payment(db: Database, payment_id: int) -> Standing:
    async with db.driver() as connection:
        (row,) = await connection.fetch(_READ, payment_id)
    return Standing(**row)
