"""Rules: each has a stable code and one sentence that holds for a sound platform; a fault is where it does not."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from chassis.db.housekeeping import OUTBOX_DAYS
from fc.audit.model import Dossier


class Level(StrEnum):
    """VIOLATION must not be; ATTENTION is as designed, but a person should know."""

    VIOLATION = "violation"
    ATTENTION = "attention"


class Patience(StrEnum):
    """What may excuse a fault for a while.

    NONE: it breaks one database's own transaction, or what never changes. MESSAGES: a message may be on its way, or the
    databases were read at slightly different moments. WEBHOOK: Xendit's callback may be late or lost, and is made up
    for by the check of open invoices.
    """

    NONE = "none"
    MESSAGES = "messages"
    WEBHOOK = "webhook"


KAFKA, MONGO, XENDIT = "kafka", "mongo", "xendit"


@dataclass(frozen=True, slots=True)
class Fault:
    """What one rule found: both values, and since when at the earliest.

    `excusable` False says that no message on its way explains it. `subject` names what is not a whole order.
    """

    expected: object
    found: object
    since: datetime | None
    subject: str | None = None
    excusable: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands in Kafka; `order_id` is read from the message's key, None when it names none."""

    topic: str
    partition: int
    offset: int
    order_id: int | None


@dataclass(slots=True)
class Context:
    """What rules know besides the order: the time, what was read, and what the batch's events have come to."""

    now: datetime
    stuck: timedelta
    read: frozenset[str] = frozenset()
    committed: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    """(group, topic, partition) -> offset up to which it was consumed before the databases were read."""
    kept_since: Mapping[str, datetime] = field(default_factory=dict)
    """Topic -> since when its messages are all still there."""
    consumed: set[tuple[str, UUID]] = field(default_factory=set)
    letters: set[tuple[str, UUID]] = field(default_factory=set)
    places: dict[UUID, Place] = field(default_factory=dict)
    users: set[int] = field(default_factory=set)
    reused: set[UUID] = field(default_factory=set)
    unrecorded: set[UUID] = field(default_factory=set)
    """Parked events of paymentfc that `failed_events` does not have."""

    def still_in_outbox(self, moment: datetime) -> bool:
        """Tell whether an event of that moment can't have been purged from its outbox yet."""
        return moment > self.now - timedelta(days=OUTBOX_DAYS)


Check = Callable[[Dossier, Context], Iterator[Fault]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `needs` are the optional sources without which it can't be checked."""

    code: str
    sentence: str
    level: Level = Level.VIOLATION
    patience: Patience = Patience.NONE
    needs: frozenset[str] = frozenset()
    check: Check | None = None
    sql: Mapping[str, str] = field(default_factory=dict)
    """Service -> statement whose rows are faults: (subject, order id or NULL, expected, found, since)."""


RULES: dict[str, Rule] = {}


def declare(
    code: str, sentence: str, *, level: Level = Level.VIOLATION, patience: Patience = Patience.NONE,
    needs: tuple[str, ...] = (), check: Check | None = None, sql: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Add a rule. Without `check` its faults come from the services' `sql`, or from who reads Kafka."""
    if code in RULES:
        raise ValueError(f"two rules are called {code}")
    RULES[code] = Rule(code, sentence, level, patience, frozenset(needs), check, sql or {})


def rule(
    code: str, sentence: str, *, level: Level = Level.VIOLATION, patience: Patience = Patience.NONE,
    needs: tuple[str, ...] = (),
) -> Callable[[Check], Check]:  # fmt: skip
    """Make a function the check of a rule about one order."""

    def add(check: Check) -> Check:
        declare(code, sentence, level=level, patience=patience, needs=needs, check=check)
        return check

    return add
