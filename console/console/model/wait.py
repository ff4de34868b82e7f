"""A wait: an order that waits for a step, since when and why, and the waits that have one cause."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.model.steps import GUIDES, RANK, Guide, Step


@dataclass(frozen=True, slots=True)
class Wait:
    """One order that waits for a step; `order_id` is None for an event or callback that names no order.

    Orders with the same `cause` wait for the same reason; `detail` is about this one. `next` is what to do.
    """

    order_id: int | None
    step: Step
    since: datetime
    cause: str
    detail: str
    next: str
    next_try: datetime | None = None
    age_s: float = 0.0

    @property
    def because(self) -> str:
        return f"{self.cause}: {self.detail}" if self.detail else self.cause

    @property
    def guide(self) -> Guide:
        return GUIDES[self.step]

    @property
    def what(self) -> str:
        """The step and the reason, without the age, which changes all the time."""
        return f"{self.guide.title.lower()}: {self.because}"

    def __str__(self) -> str:
        return f"{self.step.value.replace('_', ' ')} for {self.age_s:.0f} s: {self.because}"

    def as_json(self) -> dict[str, Any]:
        return {
            "order_id": self.order_id,
            "step": self.step.value,
            "since": self.since.isoformat(),
            "age_s": round(self.age_s, 1),
            "because": self.because,
            "next": self.next,
            "next_try": self.next_try and self.next_try.isoformat(),
            "runbook": self.guide.runbook,
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Orders that wait for the same step for the same reason, the oldest first; `waits` are the first of `count`."""

    step: Step
    cause: str
    count: int
    waits: tuple[Wait, ...]

    @property
    def guide(self) -> Guide:
        return GUIDES[self.step]

    @property
    def since(self) -> datetime:
        return self.waits[0].since


def groups(found: Iterable[Wait], first: int) -> list[Group]:
    """Put waits together by step and cause, the most urgent first, each with its `first` oldest."""
    together: dict[tuple[Step, str], list[Wait]] = {}
    for wait in found:
        together.setdefault((wait.step, wait.cause), []).append(wait)
    result = []
    for (step, cause), theirs in together.items():
        theirs.sort(key=place)
        result.append(Group(step, cause, len(theirs), tuple(theirs[:first])))
    return sorted(result, key=lambda group: (RANK[group.step], group.since, group.cause))


def urgency(wait: Wait) -> tuple[Any, ...]:
    return RANK[wait.step], wait.since, wait.cause, wait.detail, wait.next


def place(wait: Wait) -> tuple[Any, ...]:
    return wait.step is Step.CUSTOMER, wait.since, wait.order_id or 0, *urgency(wait)
