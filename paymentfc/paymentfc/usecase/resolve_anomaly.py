"""An administrator says what was done about an anomaly."""

from typing import Any

import structlog

from chassis.db.database import Database
from paymentfc.errors import NoSuchRow
from paymentfc.repository import anomalies

log = structlog.get_logger(__name__)


async def resolve_anomaly(db: Database, anomaly_id: int, note: str, admin_id: int) -> dict[str, Any]:
    """Mark an anomaly as resolved; resolving it again changes nothing. Gives its row. Raises NoSuchRow."""
    async with db.transaction() as tx:
        row = await anomalies.resolve(tx, anomaly_id, note)
    if row is None:
        raise NoSuchRow(f"there is no anomaly {anomaly_id}")
    log.info("anomaly resolved", anomaly_id=anomaly_id, order_id=row["order_id"], by=admin_id)
    return row
