"""Moves audit entries from the payment database to MongoDB: each arrives exactly once, however often it is sent."""

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from chassis.db.database import Database
from paymentfc.repository import audit

log = structlog.get_logger(__name__)

BATCH = 500


class Log(Protocol):
    """Where the entries go. Raises AuditUnavailable when it does not answer."""

    async def append(self, documents: Sequence[dict[str, Any]]) -> dict[int, str]: ...


class DeliverAudit:
    """The delivery's action; replicas may run it at the same time, the unique `event_id` makes that harmless."""

    def __init__(self, db: Database, audit_log: Log) -> None:
        self._db = db
        self._log = audit_log

    async def __call__(self) -> bool:
        """Deliver one batch; True when there may be more. Raises AuditUnavailable, and nothing is lost then."""
        entries = await audit.due(self._db, BATCH)
        if not entries:
            return False
        refused = await self._log.append([document for _, document in entries])
        await audit.delivered(self._db, [row_id for at, (row_id, _) in enumerate(entries) if at not in refused])
        for at, error in refused.items():
            await audit.refused(self._db, entries[at][0], error)
            log.error("audit entry refused", row_id=entries[at][0], error=error)
        return len(entries) == BATCH
