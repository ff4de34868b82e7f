"""An administrator has an event of the outbox sent now instead of at its next try."""

import structlog

from chassis.db import outbox_admin
from chassis.db.database import Database
from chassis.db.outbox_admin import Retry, RetryHook, Row
from chassis.errors import NotFound

log = structlog.get_logger(__name__)


async def retry_event(db: Database, row_id: int, retry: Retry, note: RetryHook | None) -> Row:
    """Make an event due and return its row; one that is published or due already stays as it is.

    `note` records it in the same transaction, where the service keeps a record of its own. Raises NotFound.
    """
    async with db.transaction() as tx:
        row = await outbox_admin.make_due(tx, row_id)
        if row is None:
            raise NotFound(f"event {row_id} of the outbox not found")
        if note is not None:
            await note(tx, row, retry)
    db.wake_relay()
    log.info(
        "admin.outbox_retried",
        outbox_id=row_id,
        event_id=str(row["event_id"]),
        topic=row["topic"],
        admin_id=retry.user_id,
        address=retry.address,
        note=retry.reason,
    )
    return row
