"""Writes the refunds of money that the version before has only recorded as an anomaly."""

from chassis.db.database import Database
from paymentfc.model.callback import Anomaly, Callback
from paymentfc.model.refund import debt_of
from paymentfc.repository import anomalies, payments
from paymentfc.service.refunds import owe

BATCH = 100
ACTOR = "scheduler"


async def take_over_anomalies(db: Database) -> None:
    """Write the refunds of all open anomalies that have none.

    What an administrator's request gives back already has none afterwards either: the next batch comes by its id.
    """
    after = 0
    while found := await anomalies.without_refund(db, BATCH, after):
        for anomaly_id, anomaly, callback in found:
            await _take_over(db, anomaly, callback)
            after = anomaly_id


async def _take_over(db: Database, anomaly: Anomaly, callback: Callback) -> None:
    debt = debt_of(anomaly, callback, closed=True)
    async with db.transaction() as tx:
        payment = await payments.lock_order(tx, callback.external_id)
        if payment is not None and debt is not None:
            await owe(tx, payment, debt, ACTOR)
