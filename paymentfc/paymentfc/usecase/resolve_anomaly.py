"""An administrator notes what was done about an anomaly."""

from typing import Any

import structlog

from chassis.db.database import Database
from paymentfc.errors import AnomalyNotFound
from paymentfc.repository import anomalies

log = structlog.get_logger(__name__)


async def resolve_anomaly(db: Database, admin_id: int, anomaly_id: int, note: str) -> dict[str, Any]:
    """Mark an anomaly as resolved and return its row; a second note changes nothing. Raises AnomalyNotFound."""
    async with db.transaction() as tx:
        row = await anomalies.resolve(tx, anomaly_id, note)
    if row is None:
        raise AnomalyNotFound(anomaly_id)
    log.info("anomaly resolved", anomaly_id=anomaly_id, order_id=row["order_id"], admin_id=admin_id)
    return row
