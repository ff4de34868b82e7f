"""What operators did with dead letters, who and why: an append-only topic, so that all operators see the same."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from chassis.kafka.topics import dlq
from fc.ops.letters import Letter
from fc.ops.log import Log

TOPIC = "operations.journal"
# Nothing is ever deleted, and nothing compacted away: of two entries for one letter both have to stay. One partition
# keeps them in the order in which they were written.
CONFIGS = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


class Action(StrEnum):
    """What became of a dead letter."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: the letter (`topic` it came from, where it lies, its event), what was done, by whom, when and why."""

    topic: str
    place: str
    event_id: str
    order_id: int | None
    reason: str
    action: Action
    by: str
    at: datetime
    why: str

    @classmethod
    def about(cls, letter: Letter, action: Action, by: str, at: datetime, why: str) -> Self:
        """Make the entry for a letter."""
        event_id = str(letter.event_id)
        return cls(letter.topic, letter.place, event_id, letter.order_id, letter.reason, action, by, at, why)

    @classmethod
    def read(cls, value: bytes | None) -> Self | None:
        """Read a record's value; None for what is no entry, so that a stranger's record hides no letter."""
        try:
            given = json.loads(value or b"")
            return cls(**given | {"action": Action(given["action"]), "at": datetime.fromisoformat(given["at"])})
        except (ValueError, TypeError, KeyError):
            return None

    def shown(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return asdict(self) | {"action": self.action.value, "at": self.at.isoformat()}


class Journal:
    """The entries of all operators, by letter."""

    def __init__(self, entries: list[Entry]) -> None:
        # A topic that was made anew counts from 0 again: the event tells the old letter from the new one.
        self._by_letter = {(entry.topic, entry.place, entry.event_id): entry for entry in entries}

    @classmethod
    async def kept(cls, log: Log) -> Self:
        """Read the journal; empty before its topic exists."""
        entries = [Entry.read(record.value) for record in await log.read(TOPIC)]
        return cls([entry for entry in entries if entry is not None])

    def entry(self, letter: Letter) -> Entry | None:
        """Give the last entry about a letter."""
        return self._by_letter.get((letter.topic, letter.place, str(letter.event_id)))


async def append(log: Log, entry: Entry) -> None:
    """Write an entry and wait until all replicas have it; the topic is made by the first one."""
    await log.make(TOPIC, dlq(entry.topic), CONFIGS)
    key = f"{dlq(entry.topic)}/{entry.place}"
    await log.send(TOPIC, key.encode(), json.dumps(entry.shown(), ensure_ascii=False).encode())
