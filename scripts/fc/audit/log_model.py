"""The records of the audit log, the order id first."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry of the audit log, or of paymentfc's `audit_outbox`; `about` is the id of the published event.

    `genuine`: the content has the hash that the entry carries, or the entry carries none.
    """

    order_id: int
    event_id: str
    event: str
    about: str | None
    create_time: datetime
    prev_hash: str | None
    hash: str | None
    genuine: bool


@dataclass(frozen=True, slots=True)
class ChainHead:
    """A row of paymentfc's `audit_heads`: the hash of an order's last audit entry, and how many entries it has."""

    order_id: int
    hash: str
    entries: int
    create_time: datetime
