"""An administrator has a parked event sent now, instead of in five minutes."""

from typing import Any

import structlog

from chassis.db.database import Database
from paymentfc.errors import NoSuchRow
from paymentfc.repository import failed_events

log = structlog.get_logger(__name__)


async def retry_event(db: Database, row_id: int, admin_id: int) -> dict[str, Any]:
    """Make a parked event due and wake the relay; nothing happens to one that has gone out. Raises NoSuchRow."""
    async with db.transaction() as tx:
        row = await failed_events.retry(tx, row_id)
    if row is None:
        raise NoSuchRow(f"there is no failed event {row_id}")
    db.wake_relay()
    log.info("parked event is sent again", event_id=str(row["event_id"]), topic=row["topic"], by=admin_id)
    return row
