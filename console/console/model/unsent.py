"""The events that are committed and not acknowledged by Kafka: the unpublished rows of the outboxes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from console.model.keys import order_in


@dataclass(frozen=True, slots=True)
class UnsentEvent:
    """One of them; `seen_at` is the clock of who has read it: the database, or the console."""

    service: str
    id: int
    event_id: str
    topic: str
    key: str
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    parked_at: datetime | None
    last_error: str | None
    seen_at: datetime

    @classmethod
    def of_answer(cls, service: str, row: Mapping[str, Any], seen_at: datetime) -> Self:
        """Read an item of the admin API's answer."""
        values: dict[str, Any] = {name: row[name] for name in _AS_IT_IS}
        values |= {name: row[name] and datetime.fromisoformat(row[name]) for name in _TIMES}
        return cls(service, **values, seen_at=seen_at)

    @property
    def state(self) -> str:
        """`new`, `due` (after a failure), `backing off` or `parked`."""
        if self.parked_at:
            return "parked"
        if self.waits:
            return "backing off"
        return "due" if self.attempts else "new"

    @property
    def waits(self) -> bool:
        """Whether its next try is still to come."""
        return self.next_attempt_at is not None and self.next_attempt_at > self.seen_at

    @property
    def order_id(self) -> int | None:
        return order_in(self.key)

    @property
    def age_s(self) -> float:
        return (self.seen_at - self.created_at).total_seconds()

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"state": self.state, "age_s": round(self.age_s, 3)}


_TIMES = ("created_at", "next_attempt_at", "parked_at")
_AS_IT_IS = ("id", "event_id", "topic", "key", "attempts", "last_error")
