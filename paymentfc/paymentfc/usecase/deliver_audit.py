"""Moves audit entries from the payment database to MongoDB, where each is stored exactly once."""

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from chassis.db.database import Database
from paymentfc.repository import audit

log = structlog.get_logger(__name__)

BATCH = 500


class Log(Protocol):
    """The destination of the entries. Raises AuditUnavailable when it does not answer."""

    async def append(self, documents: Sequence[dict[str, Any]]) -> dict[int, str]: ...


async def deliver_audit(db: Database, audit_log: Log) -> bool:
    """Deliver one batch; True when there may be more. Raises AuditUnavailable; the entries then stay in the database.

    Replicas may run this at the same time: the unique `event_id` makes a second delivery a no-op.
    """
    entries = await audit.due(db, BATCH)
    if not entries:
        return False
    refused = await audit_log.append([document for _, document in entries])
    await audit.delivered(db, [row_id for at, (row_id, _) in enumerate(entries) if at not in refused])
    for at, error in refused.items():
        await audit.refused(db, entries[at][0], error)
        log.error("audit entry refused", row_id=entries[at][0], error=error)
    return len(entries) == BATCH
