"""An administrator notes what was done about an anomaly, and may close an order that nobody else can."""

import asyncio
from typing import Any

import structlog

from chassis.db.database import Database, Tx
from paymentfc.errors import AnomalyNotClosable, AnomalyNotFound
from paymentfc.model.callback import CLOSABLE, WRONG_MONEY
from paymentfc.model.payment import Reason, Status, external_id
from paymentfc.model.refund import wrong_money
from paymentfc.repository import anomalies, audit, payments
from paymentfc.repository.audit import Admin, AuditEvent
from paymentfc.service import settlement

log = structlog.get_logger(__name__)

ACTOR = "admin"


async def resolve_anomaly(
    db: Database, wake_closings: asyncio.Event, admin: Admin, anomaly_id: int, note: str, *, close: bool = False
) -> dict[str, Any]:
    """Mark an anomaly as resolved and return its row; a second note changes nothing.

    With `close` an open payment that received a wrong amount becomes FAILED, and one whose invoice has an unknown
    status EXPIRED, also when the anomaly is resolved already. Raises AnomalyNotFound; AnomalyNotClosable for `close` of
    another kind.
    """
    async with db.transaction() as tx:
        row = await anomalies.by_id(tx, anomaly_id)
        if row is None:
            raise AnomalyNotFound(anomaly_id)
        if close:
            await _close(tx, row)
        facts = {"anomaly_id": anomaly_id, "kind": row["kind"], "note": note, "close": close}
        await audit.add_action(tx, AuditEvent.ADMIN_ANOMALY_RESOLVED, row["external_id"], admin, **facts)
        row = await anomalies.resolve(tx, anomaly_id, note)
    if row is None:
        raise AnomalyNotFound(anomaly_id)
    wake_closings.set()
    log.info("anomaly resolved", anomaly_id=anomaly_id, order_id=row["order_id"], admin_id=admin.user_id, closed=close)
    return row


async def _close(tx: Tx, row: dict[str, Any]) -> None:
    if row["kind"] not in CLOSABLE or row["order_id"] is None:
        raise AnomalyNotClosable(row["id"], row["kind"])
    payment = await payments.lock_order(tx, external_id(row["order_id"]))
    if payment is None:
        return
    if row["kind"] in WRONG_MONEY:
        # The money is there whatever has become of the payment.
        paid = await anomalies.paid_by(tx, row["id"])
        money = None if paid is None else wrong_money(paid)
        await tx.publish(*await settlement.close_disputed(tx, payment, money, ACTOR))
    elif payment.is_open:
        await tx.publish(*await settlement.close(tx, payment, Status.EXPIRED, Reason.EXPIRED, ACTOR))
