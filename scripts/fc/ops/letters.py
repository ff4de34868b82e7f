"""A dead letter as an operator sees it: what failed, where and why, and how it would be sent again."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from chassis.events import Message
from fc.platform.topics import LETTERS, PUBLISHER, order_in
from fc.stack.errors import StackError

# What a consumer adds to a dead letter, and what a replay adds to a message: not the message's own.
FAILURE = frozenset(
    {"x-reason", "x-error", "x-source-topic", "x-source-partition", "x-source-offset", "x-handler", "x-attempts",
     "x-failed-at"}
)  # fmt: skip
REPLAY = frozenset({"x-replayed-at", "x-replayed-by", "x-replay-reason", "x-replay-count"})
# The reasons that time or a repair can cure; any other one says that the message itself can never be applied.
CURABLE = frozenset({"not_yet", "handler_failed"})
MAX_REPLAYS = 3


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of a dead letter topic. `topic` is the topic it came from, `partition` and `offset` are where it lies."""

    topic: str
    partition: int
    offset: int
    time: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, record: Any) -> Self:
        """Read a record of a dead letter topic."""
        headers = tuple((name, value or b"") for name, value in record.headers)
        time = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        topic = LETTERS[record.topic]
        return cls(topic, record.partition, record.offset, time, record.key, record.value, headers)

    def header(self, name: str) -> str:
        """Give a header's text; empty when it is not there."""
        found = [value for given, value in self.headers if given.lower() == name]
        return found[-1].decode("utf-8", "replace") if found else ""

    def _number(self, name: str) -> int:
        text = self.header(name)
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0

    @property
    def place(self) -> str:
        """Where it lies: `PARTITION:OFFSET`."""
        return f"{self.partition}:{self.offset}"

    @property
    def reason(self) -> str:
        """The stable code of what was wrong."""
        return self.header("x-reason") or "unknown"

    @property
    def consumer(self) -> str:
        """The service that could not apply it."""
        return self.header("x-handler").partition(".")[0]

    @property
    def replays(self) -> int:
        """How many times it was sent again before it became this letter."""
        return self._number("x-replay-count")

    @property
    def order_id(self) -> int | None:
        """The order that its key names."""
        return order_in(self.key.decode("utf-8", "replace")) if self.key is not None else None

    @property
    def event_id(self) -> UUID:
        """The id that consumers know it by: its own, or the one made from where it was first."""
        return Message.received(
            self.topic, self._number("x-source-partition"), self._number("x-source-offset"), self.key, self.value,
            self.headers,
        ).event_id  # fmt: skip

    def refusal(self) -> str | None:
        """Tell why sending it again would only make another dead letter; None when it may help."""
        if self.reason not in CURABLE:
            return f"{self.reason} is permanent: the same bytes fail again"
        if self.replays >= MAX_REPLAYS:
            return f"replayed {self.replays} times already: find the cause first"
        return None

    def headers_again(self, by: str, why: str, at: datetime) -> list[tuple[str, bytes]]:
        """Make the headers of a replay: the message's own, the id that inboxes know it by, and who sends it why."""
        kept = [(name, value) for name, value in self.headers if name.lower() not in FAILURE | REPLAY]
        if not self.header("ce_id"):
            # Its id was made from its first place; at its new place it would pass for another event.
            kept = [(name, value) for name, value in kept if name.lower() != "ce_id"]
            kept.append(("ce_id", str(self.event_id).encode()))
        added = {
            "x-replayed-at": at.isoformat().replace("+00:00", "Z"),
            "x-replayed-by": by,
            "x-replay-reason": why,
            "x-replay-count": str(self.replays + 1),
        }
        return [*kept, *((name, value.encode()) for name, value in added.items())]

    def shown(self) -> dict[str, Any]:
        """Give it as JSON takes it, without its content."""
        return {
            "topic": self.topic, "place": self.place, "failed_at": self.header("x-failed-at") or self.time.isoformat(),
            "order_id": self.order_id, "event_id": str(self.event_id), "reason": self.reason,
            "error": self.header("x-error"), "handler": self.header("x-handler"), "tries": self._number("x-attempts"),
            "replays": self.replays,
        }  # fmt: skip


def source_topic(name: str) -> str:
    """Read a topic as an operator names it, with or without `.dlq`. Raises StackError."""
    topic = LETTERS.get(name, name)
    if topic not in PUBLISHER:
        raise StackError(f"no topic is called {name}; there are {', '.join(PUBLISHER)}")
    return topic


def read_place(text: str) -> tuple[int, int]:
    """Read `PARTITION:OFFSET`. Raises StackError."""
    partition, colon, offset = text.partition(":")
    if not colon or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in (partition, offset)):
        raise StackError(f"a dead letter's place is PARTITION:OFFSET, for example 2:17, not {text!r}")
    return int(partition), int(offset)
