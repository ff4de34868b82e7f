"""What the sources have answered about one order: the input of the timeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

Json = Mapping[str, Any]

PARTLY_READ = "only part of its records since the order was placed were read"
"""Why Kafka is among the unread sources, though what was found counts."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record on a topic. Times: `committed_at` is the database's clock (`ce_time`), `published_at` the producer's.

    A dead letter has the topic that it came from, and the `reason` and `error` of its failure. `done_by` are the
    consumers whose groups have committed an offset behind it.
    """

    topic: str
    event_id: str
    identity: UUID
    partition: int
    offset: int
    committed_at: datetime | None
    published_at: datetime
    reason: str | None = None
    error: str | None = None
    handler: str | None = None
    done_by: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Facts:
    """The answers. `order`, `payment` and `stock` are those of the admin API; `unsent` rows are of the outboxes.

    `applied` has when a consumer has applied an event, by consumer and identity. `unread` names the sources that did
    not answer, each with the reason. `handled` has what was done with dead letters, by topic and place. `ahead` is by
    how much the services' clock is ahead of Kafka's.
    """

    order_id: int
    now: datetime
    order: Json | None = None
    dossier: Json | None = None
    stock: Sequence[Json] = ()
    unsent: Sequence[Json] = ()
    records: Sequence[Record] = ()
    applied: Mapping[tuple[str, UUID], datetime] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    handled: Mapping[tuple[str, str], str] = field(default_factory=dict)
    ahead: timedelta = timedelta(0)

    @property
    def payment(self) -> Json | None:
        return None if self.dossier is None else self.dossier["payment"]

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the order is known anywhere, though all answered, Kafka at least in part."""
        away = any(why != PARTLY_READ for why in self.unread.values())
        return not (self.order or self.dossier or self.stock or self.unsent or self.records or away)
