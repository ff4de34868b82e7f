"""What the sources have answered about one order: the input of the timeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

Json = Mapping[str, Any]

CLOCK_SKEW = timedelta(seconds=5)
"""The clocks of database and broker differ by less."""

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
    """The answers. What a source answers is as the admin API has it: JSON, times as text."""

    order_id: int
    # When the answers were gathered, by the services' clock.
    now: datetime
    # With the history of its status. None: orderfc has no such order, or did not answer.
    order: Json | None = None
    # The payment with its request, callbacks, refunds and anomalies. None: paymentfc has nothing about the order, or
    # did not answer.
    dossier: Json | None = None
    # The ledger of productfc: a row for each product, with the state of its stock.
    stock: Sequence[Json] = ()
    # The events about the order that are still in the outboxes.
    unsent: Sequence[Json] = ()
    # The records in Kafka, dead letters among them.
    records: Sequence[Record] = ()
    # When a consumer has applied an event, by consumer and identity of the event.
    applied: Mapping[tuple[str, UUID], datetime] = field(default_factory=dict)
    # The sources that did not answer, each with the reason. Also Kafka, if it was read only in part.
    unread: Mapping[str, str] = field(default_factory=dict)
    # What was done with dead letters that were handled, by topic and place.
    handled: Mapping[tuple[str, str], str] = field(default_factory=dict)
    # How far the services' clock is ahead of Kafka's.
    ahead: timedelta = timedelta(0)

    @property
    def payment(self) -> Json | None:
        return None if self.dossier is None else self.dossier["payment"]

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the order is known anywhere, though all answered, Kafka at least in part."""
        away = any(why != PARTLY_READ for why in self.unread.values())
        return not (self.order or self.dossier or self.stock or self.unsent or self.records or away)
