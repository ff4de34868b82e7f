"""Moves audit entries from the payment database to MongoDB, where each is stored exactly once."""

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from chassis.db.database import Database
from paymentfc.repository import audit
from paymentfc.repository.audit_chain import chain

log = structlog.get_logger(__name__)

BATCH = 500


class Log(Protocol):
    """The destination of the entries. Its methods raise AuditUnavailable when it does not answer."""

    async def append(self, documents: Sequence[dict[str, Any]]) -> dict[int, str]: ...

    async def stored(self, event_ids: Sequence[str]) -> set[str]: ...


async def deliver_audit(db: Database, audit_log: Log) -> bool:
    """Deliver one batch. Returns True if there may be more. Raises AuditUnavailable: the entries stay in the database.

    Replicas may run this at the same time: each entry gets its place in the chain once, and the unique `event_id` makes
    a second delivery a no-op.
    """
    entries = await audit.due(db, BATCH)
    if not entries:
        return False
    ready = await _ready(db, audit_log, entries)
    refused = await audit_log.append([document for _, document in ready]) if ready else {}
    await audit.delivered(db, [row_id for at, (row_id, _) in enumerate(ready) if at not in refused])
    for at, error in refused.items():
        await audit.refused(db, ready[at][0], error)
        log.error("audit entry refused", row_id=ready[at][0], error=error)
    return len(ready) == BATCH


async def _ready(db: Database, audit_log: Log, entries: Sequence[audit.Entry]) -> list[tuple[int, dict[str, Any]]]:
    """Return (row id, document) of the entries that have their place in the chain, or need none.

    An event that was published again has an entry of the same id, which is stored already: it gets no second place.
    The id of every other entry is its own.
    """
    fresh = [entry for entry in entries if entry.fresh]
    published = [entry.event_id for entry in fresh if entry.row["event"] == audit.AuditEvent.EVENT_PUBLISHED]
    stored = await audit_log.stored(published) if published else set()
    again = {entry.row_id for entry in fresh if entry.event_id in stored}
    linked = await chain(db, [entry.row_id for entry in fresh if entry.row_id not in again])
    others = [entry for entry in entries if not entry.fresh or entry.row_id in again]
    return [(entry.row_id, audit.document_of(entry.row)) for entry in others] + list(linked.items())
