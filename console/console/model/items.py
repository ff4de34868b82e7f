"""Dead letters as they are listed: each with its cause and what the journal says of it, and in groups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from console.model.fingerprint import Cause
from console.model.journal import Entry, Journal, LetterKey, key_of
from console.model.letters import Letter


@dataclass(frozen=True, slots=True)
class Item:
    """A letter, its cause, what was done with it, and who is at it."""

    letter: Letter
    key: LetterKey
    cause: Cause
    handled: Entry | None = None
    claimed: Entry | None = None

    @classmethod
    def of(cls, letter: Letter) -> Self:
        return cls(letter, key_of(letter), Cause.of(letter))

    def with_journal(self, journal: Journal, now: datetime) -> Self:
        """Return it with what the journal says at `now`."""
        handled, claim = journal.handled.get(self.key), journal.claim(self.key, now)
        if handled is None and claim is None:
            return self
        return replace(self, handled=handled, claimed=claim and claim[1])

    @property
    def name(self) -> str:
        """`TOPIC/PARTITION:OFFSET`."""
        return f"{self.letter.topic}/{self.letter.place}"


@dataclass(frozen=True, slots=True)
class Group:
    """The letters of a cause, oldest first."""

    cause: Cause
    items: Sequence[Item]

    @property
    def curable(self) -> int:
        """Of how many a replay may succeed."""
        return sum(item.letter.refusal() is None for item in self.items)


def groups(items: Iterable[Item]) -> list[Group]:
    """Group letters, which come oldest first, by their causes; the largest group first."""
    found: dict[Cause, list[Item]] = {}
    for item in items:
        found.setdefault(item.cause, []).append(item)
    made = [Group(cause, theirs) for cause, theirs in found.items()]
    return sorted(made, key=lambda group: (-len(group.items), group.cause.topic, group.cause.name))
