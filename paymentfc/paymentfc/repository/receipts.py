"""The rows of `payment_receipts`: each payment of an invoice that a callback has named."""

from dataclasses import dataclass
from decimal import Decimal

from chassis.db.database import Tx
from paymentfc.model.callback import Callback, amount_text

# Customers pay an invoice once, seldom twice. All of its payments are told apart in the transaction that takes one.
MAX_OF_INVOICE = 100
# A part of a statement, also of the one in arrivals.py: adds what the rows of `source` name, if anything.
ADD = f"""
INSERT INTO payment_receipts (invoice_id, external_id, receipt, amount, currency)
SELECT invoice_id, external_id, named, amount, currency FROM {{source}} AS new
WHERE named IS NOT NULL
  AND (SELECT count(*) FROM payment_receipts AS known
    WHERE known.invoice_id = new.invoice_id AND known.external_id = new.external_id) < {MAX_OF_INVOICE}
ON CONFLICT (invoice_id, external_id, receipt) DO NOTHING RETURNING true
"""
_ONE = "(VALUES ($1::text, $2::text, $3::text, $4::text, $5::text))"
_ADD = ADD.format(source=f"(SELECT * FROM {_ONE} AS one (invoice_id, external_id, named, amount, currency))")
_OF_INVOICE = """
SELECT receipt, amount, currency FROM payment_receipts WHERE invoice_id = $1 AND external_id = $2 ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One payment by its id at Xendit; `amount` is in units of `currency`."""

    receipt: str
    amount: Decimal
    currency: str


async def add(tx: Tx, callback: Callback) -> bool:
    """Store the payment that a callback names, up to MAX_OF_INVOICE of one invoice.

    False for one that is known or over the limit, and for a callback that names none.
    """
    if not (callback.says_paid and callback.receipt):
        return False
    amount = amount_text(callback.judged_amount)
    values = (callback.invoice_id, callback.external_id, callback.receipt, amount, callback.currency)
    return bool(await tx.driver().fetchval(_ADD, *values))


async def of_invoice(tx: Tx, invoice_id: str, ext_id: str) -> list[Receipt]:
    """Return the payments of an invoice in the order in which they were heard of."""
    rows = await tx.driver().fetch(_OF_INVOICE, invoice_id, ext_id)
    return [Receipt(row["receipt"], Decimal(row["amount"]), row["currency"]) for row in rows]
