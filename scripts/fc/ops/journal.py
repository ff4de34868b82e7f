"""The journal of handled dead letters, with operator and reason: an append-only topic that all operators share."""

import getpass
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from chassis.kafka.topics import dlq
from fc.ops.letters import Letter
from fc.ops.log import Log

TOPIC = "operations.journal"
# No deletion and no compaction: two entries for one letter both have to stay. One partition keeps them in the order of
# writing.
CONFIGS = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


class Action(StrEnum):
    """What was done with a dead letter."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: the letter (its source `topic`, place and event), the action, the operator, the time, the reason."""

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
        event_id = str(letter.event_id)
        return cls(letter.topic, letter.place, event_id, letter.order_id, letter.reason, action, by, at, why)

    @classmethod
    def read(cls, value: bytes | None) -> Self | None:
        """Read the value of a record; None for a value that is no entry, so that foreign records hide no letter."""
        try:
            fields = json.loads(value or b"")
            return cls(**fields | {"action": Action(fields["action"]), "at": datetime.fromisoformat(fields["at"])})
        except (ValueError, TypeError, KeyError):
            return None

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"action": self.action.value, "at": self.at.isoformat()}


class Journal:
    """The entries of all operators, by letter."""

    def __init__(self, entries: list[Entry]) -> None:
        # A topic that was deleted and created again starts at offset 0: the event id keeps old and new letters apart.
        self._by_letter = {(entry.topic, entry.place, entry.event_id): entry for entry in entries}

    @classmethod
    async def kept(cls, log: Log) -> Self:
        """Read the journal; it is empty before its topic exists."""
        entries = [Entry.read(record.value) for record in await log.read(TOPIC)]
        return cls([entry for entry in entries if entry is not None])

    def entry(self, letter: Letter) -> Entry | None:
        """Return the last entry for a letter."""
        return self._by_letter.get((letter.topic, letter.place, str(letter.event_id)))


async def append(log: Log, entry: Entry) -> None:
    """Write an entry and wait until all replicas have it; the first entry creates the topic."""
    await log.make(TOPIC, dlq(entry.topic), CONFIGS)
    key = f"{dlq(entry.topic)}/{entry.place}"
    await log.send(TOPIC, key.encode(), json.dumps(entry.as_json(), ensure_ascii=False).encode())


def operator() -> str:
    """Return the name of the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # The user of a container may have a number and no name.
        return f"uid {os.getuid()}"
