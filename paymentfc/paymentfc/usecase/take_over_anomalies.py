"""Writes the refunds of money that the version before has only recorded as an anomaly."""

from chassis.db.database import Database
from paymentfc.model.refund import debt_of
from paymentfc.repository import anomalies, payments
from paymentfc.service.refunds import owe

BATCH = 100
ACTOR = "scheduler"


async def take_over_anomalies(db: Database) -> bool:
    """Write the refunds of a batch of open anomalies that have none; True when there may be more."""
    found = await anomalies.without_refund(db, BATCH)
    written = 0
    for anomaly, callback in found:
        debt = debt_of(anomaly, callback, closed=True)
        async with db.transaction() as tx:
            payment = await payments.lock_order(tx, callback.external_id)
            if payment is not None and debt is not None:
                written += await owe(tx, payment, debt, ACTOR)
    return len(found) == BATCH and written > 0
