"""An administrator has a parked event sent now instead of at its next try, up to five minutes later."""

from typing import Any

import structlog

from chassis.db.database import Database
from paymentfc.errors import FailedEventNotFound
from paymentfc.repository import audit, failed_events
from paymentfc.repository.audit import Admin, AuditEvent

log = structlog.get_logger(__name__)


async def retry_event(db: Database, admin: Admin, row_id: int) -> dict[str, Any]:
    """Make a parked event due and return its row; a published event stays as it is. Raises FailedEventNotFound."""
    async with db.transaction() as tx:
        row = await failed_events.retry(tx, row_id)
        if row is None:
            raise FailedEventNotFound(row_id)
        facts = {"event_id": str(row["event_id"]), "topic": row["topic"]}
        await audit.add_action(tx, AuditEvent.ADMIN_EVENT_RETRIED, row["key"], admin, **facts)
    db.wake_relay()
    log.info("parked event is due now", event_id=str(row["event_id"]), topic=row["topic"], admin_id=admin.user_id)
    return row
