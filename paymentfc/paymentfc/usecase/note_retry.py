"""Records that an administrator has an event of the outbox sent again: in the audit log, and where it is parked."""

from chassis.db.database import Tx
from chassis.db.outbox_admin import Retry, Row
from paymentfc.repository import audit, failed_events
from paymentfc.repository.audit import Admin, AuditEvent


async def note_retry(tx: Tx, row: Row, retry: Retry) -> None:
    # Nothing is sent again of an event that has left: its row keeps the time of the send that succeeded.
    if row["state"] != "published":
        await failed_events.note_retried(tx, row["event_id"])
    facts = {"event_id": str(row["event_id"]), "topic": row["topic"], "state": row["state"], "reason": retry.reason}
    admin = Admin(retry.user_id, retry.address)
    await audit.add_action(tx, AuditEvent.ADMIN_EVENT_RETRIED, row["key"], admin, **facts)
