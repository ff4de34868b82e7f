"""Rules: a stable code and a sentence that holds for a sound platform; a fault is a case in which it does not."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from fc.audit.model import Dossier


class Level(StrEnum):
    """VIOLATION: the state is wrong. ATTENTION: it is as designed, but an operator should see it."""

    VIOLATION = "violation"
    ATTENTION = "attention"


class Patience(StrEnum):
    """The reason why a fault may be temporary.

    NONE: it contradicts one transaction of one database, or data that never changes. MESSAGES: a message may be in
    flight, or the databases were read at slightly different moments. WEBHOOK: Xendit's callback may be late or lost;
    the check of open invoices will find the payment.
    """

    NONE = "none"
    MESSAGES = "messages"
    WEBHOOK = "webhook"


KAFKA, MONGO, XENDIT, REDIS = "kafka", "mongo", "xendit", "redis"


@dataclass(frozen=True, slots=True)
class Fault:
    """A case in which a rule does not hold: both values, and the earliest time since which it may be so.

    With `excusable` False no message in flight can explain it. `subject` names anything but a whole order.
    """

    expected: object
    found: object
    since: datetime | None
    subject: str | None = None
    excusable: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an event in Kafka; `order_id` is read from the message's key, None when it names no order."""

    topic: str
    partition: int
    offset: int
    order_id: int | None


@dataclass(slots=True)
class Context:
    """The input of rules besides the order: the time, the sources that were read, the state of the batch's events."""

    now: datetime
    stuck: timedelta
    outbox_kept: timedelta
    """How long an outbox keeps at least what is published."""
    read: frozenset[str] = frozenset()
    committed: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    """(group, topic, partition) -> offset committed before the databases were read."""
    kept_since: Mapping[str, datetime] = field(default_factory=dict)
    """Topic -> time since which no message of it was deleted."""
    consumed: set[tuple[str, UUID]] = field(default_factory=set)
    letters: set[tuple[str, UUID]] = field(default_factory=set)
    places: dict[UUID, Place] = field(default_factory=dict)
    users: set[int] = field(default_factory=set)
    reused: set[UUID] = field(default_factory=set)
    chained_since: datetime | None = None
    """The time since which each entry of the audit log belongs to a chain; None before the first."""
    refunded_since: datetime | None = None
    """The time since which money that was not owed has a refund; None before the first."""
    unrecorded: set[UUID] = field(default_factory=set)
    """Parked events of paymentfc that `failed_events` does not have."""

    def still_in_outbox(self, moment: datetime) -> bool:
        """Whether an event of that moment can't have been purged from its outbox yet."""
        return moment > self.now - self.outbox_kept


Check = Callable[[Dossier, Context], Iterator[Fault]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `needs` names the optional sources without which it can't be checked."""

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
    code: str,
    sentence: str,
    *,
    level: Level = Level.VIOLATION,
    patience: Patience = Patience.NONE,
    needs: tuple[str, ...] = (),
    check: Check | None = None,
    sql: Mapping[str, str] | None = None,
) -> None:
    """Add a rule. Without `check` its faults come from the services' `sql`, or from the reader of Kafka."""
    if code in RULES:
        raise ValueError(f"two rules are called {code}")
    RULES[code] = Rule(code, sentence, level, patience, frozenset(needs), check, sql or {})


def rule(
    code: str,
    sentence: str,
    *,
    level: Level = Level.VIOLATION,
    patience: Patience = Patience.NONE,
    needs: tuple[str, ...] = (),
) -> Callable[[Check], Check]:
    """Make a function the check of a rule about one order."""

    def add(check: Check) -> Check:
        declare(code, sentence, level=level, patience=patience, needs=needs, check=check)
        return check

    return add
