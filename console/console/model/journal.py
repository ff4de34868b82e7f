"""The journal of handled dead letters, with operator and reason: an append-only topic that all operators share."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self

from console.model.letters import Letter
from console.model.saga import PRODUCERS

TOPIC = "operations.journal"
# No deletion and no compaction: two entries for one letter both have to stay. One partition keeps them in the order of
# writing.
CONFIGS = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
# Longer than claim, replay and entry take, even if each uses all of its time: ACTION_S of the letter box says what.
CLAIMED_FOR = timedelta(seconds=60)


class Action(StrEnum):
    """What was done with a dead letter; `claimed` says that a person is about to handle it."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"
    CLAIMED = "claimed"


class LetterKey(NamedTuple):
    """What tells letters apart.

    A topic that was deleted and created again starts at offset 0: the event id keeps old and new letters apart.
    """

    topic: str
    place: str
    event_id: str


def key_of(letter: Letter) -> LetterKey:
    return LetterKey(letter.topic, letter.place, letter.event_id)


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
        return cls(*key_of(letter), letter.order_id, letter.reason, action, by, at, why)

    @classmethod
    def read(cls, value: bytes | None) -> Self | None:
        """Read the value of a record; None for a value that is no entry, so that foreign records hide no letter."""
        try:
            fields = json.loads(value or b"")
            at = datetime.fromisoformat(fields["at"])
            texts = (fields[name] for name in ("topic", "place", "event_id", "reason", "by", "why"))
            if at.tzinfo is None or not all(isinstance(text, str) for text in texts):
                return None
            return cls(**fields | {"action": Action(fields["action"]), "at": at})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    @property
    def key(self) -> LetterKey:
        return LetterKey(self.topic, self.place, self.event_id)

    @property
    def is_linked(self) -> bool:
        """Whether topic and place are those of a letter, and not what a stranger has written."""
        return self.topic in PRODUCERS and re.fullmatch(r"[0-9]{1,9}:[0-9]{1,18}", self.place) is not None

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"action": self.action.value, "at": self.at.isoformat()}

    def __str__(self) -> str:
        return f"{self.action} already by {self.by}: {self.why}"


class Journal:
    """The entries of all operators, and the claims on letters that are being handled.

    `handled` has the last entry that says what was done with a letter.

    Of several claims on one letter the first in the topic counts, for CLAIMED_FOR or until the letter is handled: all
    who read the topic agree on who that is.
    """

    def __init__(self) -> None:
        self.handled: dict[LetterKey, Entry] = {}
        self._claims: dict[LetterKey, dict[int, Entry]] = {}

    def add(self, offset: int, entry: Entry) -> None:
        """Add an entry; they come in the order of their offsets."""
        if entry.action is not Action.CLAIMED:
            # Removed first, so that the latest entries stand last.
            self.handled.pop(entry.key, None)
            self.handled[entry.key] = entry
            self._claims.pop(entry.key, None)
            return
        claims = self._claims.get(entry.key, {}).items()
        valid = {place: claim for place, claim in claims if entry.at - claim.at < CLAIMED_FOR}
        self._claims[entry.key] = valid | {offset: entry}

    def claim(self, key: LetterKey, now: datetime) -> tuple[int, Entry] | None:
        """Return the claim that counts, with its offset; None for a letter that is not being handled at `now`."""
        claims = self._claims.get(key, {}).items()
        # A claim from a clock that is wrong by more is void.
        return min(((offset, claim) for offset, claim in claims if abs(now - claim.at) < CLAIMED_FOR), default=None)

    def latest(self) -> Iterator[Entry]:
        """Yield what was done, the latest first; of a letter that was handled twice the last."""
        return reversed(self.handled.values())

    def __len__(self) -> int:
        return len(self.handled)
