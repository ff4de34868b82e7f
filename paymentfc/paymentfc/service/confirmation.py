"""Has Xendit asked about a callback before it takes effect."""

from chassis.db.database import Tx
from paymentfc.model.callback import Outcome, unconfirmed
from paymentfc.model.payment import Payment
from paymentfc.repository import callbacks, confirmations
from paymentfc.repository.callbacks import Stored
from paymentfc.service.settlement import record

TOO_MANY = "not asked, too many invoices of the order"


async def have_confirmed(tx: Tx, payment: Payment, stored: Stored, actor: str) -> Outcome:
    """List the callback's invoice to be read at Xendit; beyond the bound of one order only record an anomaly."""
    callback = stored.callback
    if not await confirmations.has_room(tx, payment, callback.invoice_id):
        await callbacks.set_outcome(tx, stored, Outcome.UNCONFIRMED)
        await record(tx, unconfirmed(callback, TOO_MANY), callback, payment, actor)
        return Outcome.UNCONFIRMED
    await callbacks.set_outcome(tx, stored, Outcome.CONFIRMING)
    await confirmations.add(tx, callback.invoice_id, callback.external_id)
    return Outcome.CONFIRMING
