"""A dead letter: what failed, where and why, and the message that a replay sends."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from chassis import telemetry
from chassis.errors import Invalid
from chassis.events import Unreadable
from chassis.telemetry import REPLAY_LINK
from console.model.keys import DEAD_LETTERS, letter_event, number, order_in, time_of
from console.model.saga import PRODUCERS

# The headers that a consumer adds to a dead letter, and those that a replay adds to a message.
FAILURE = frozenset(
    {
        "x-reason",
        "x-error",
        "x-source-topic",
        "x-source-partition",
        "x-source-offset",
        "x-source-last-offset",
        "x-event-id",
        "x-handler",
        "x-attempts",
        "x-failed-at",
    }
)
REPLAYED_AT = "x-replayed-at"
REPLAY = frozenset({REPLAYED_AT, "x-replayed-by", "x-replay-reason", "x-replay-count", REPLAY_LINK})
# The reasons after which a replay may succeed; after any other one the message itself can never be applied.
CURABLE = frozenset({"not_yet", "handler_failed"})
MAX_REPLAYS = 3
# Of a letter in a list: the characters of a key, and the headers that say what it is.
MAX_KEY = 255
_GONE = frozenset({"x-value-sha256", "x-headers-dropped"})
_LISTED = FAILURE | REPLAY | _GONE | {"ce_id", "ce_source", "ce_time", "traceparent"}


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of a dead letter topic: `topic` is its source topic, `partition` and `offset` are its own.

    `left_out` has the bytes of the value of a letter that is only listed; None for a whole one.
    """

    topic: str
    partition: int
    offset: int
    time: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    left_out: int | None = None

    @classmethod
    def of(cls, record: Any) -> Self:
        """Read a record of a dead letter topic."""
        headers = tuple((name, value or b"") for name, value in record.headers)
        value = record.value
        if isinstance(value, Unreadable):
            # The letter itself can't be unpacked.
            headers, value = (("x-reason", b"unreadable_record"), ("x-error", value.cause.encode())), None
        topic = DEAD_LETTERS[record.topic]
        return cls(topic, record.partition, record.offset, time_of(record), record.key, value, headers)

    def listed(self) -> Self:
        """Return it as a list needs it: without value, and without the headers and the end of a key that may be long.

        Its event id is the same, also where it was derived from the value.
        """
        headers = [(name, value) for name, value in self.headers if name.lower() in _LISTED]
        if not self.header("ce_id"):
            headers = [(name, value) for name, value in headers if name.lower() != "x-event-id"]
            headers.append(("x-event-id", self.event_id.encode()))
        key = None if self.key is None else self.key[:MAX_KEY]
        return replace(self, key=key, value=None, headers=tuple(headers), left_out=self.value_bytes)

    @property
    def value_bytes(self) -> int:
        return len(self.value or b"") if self.left_out is None else self.left_out

    def header(self, name: str) -> str:
        """Return the text of a header; empty without it."""
        values = [value for header, value in self.headers if header.lower() == name]
        return values[-1].decode("utf-8", "replace") if values else ""

    @property
    def place(self) -> str:
        """`PARTITION:OFFSET`."""
        return f"{self.partition}:{self.offset}"

    @property
    def reason(self) -> str:
        return self.header("x-reason") or "unknown"

    @property
    def consumer(self) -> str:
        return self.header("x-handler").partition(".")[0]

    @property
    def replays(self) -> int:
        """The number of replays before this letter."""
        return number(self.header("x-replay-count"))

    @property
    def tries(self) -> int:
        """How often its consumer has tried to apply it."""
        return number(self.header("x-attempts"))

    @property
    def order_id(self) -> int | None:
        return order_in(self.key.decode("utf-8", "replace")) if self.key is not None else None

    @property
    def event_id(self) -> str:
        """The `ce_id`, else the id that was derived at its first place."""
        return letter_event(self.topic, self).event_id

    @property
    def identity(self) -> UUID:
        """Its id in the inboxes of consumers."""
        return letter_event(self.topic, self).identity

    @property
    def content_is_gone(self) -> bool:
        """Whether the letter was written without the content of its message: there is nothing to replay."""
        if self.key is None and not self.value_bytes:
            return True
        return self.reason == "unreadable_record" or any(name.lower() in _GONE for name, _ in self.headers)

    def refusal(self) -> str | None:
        """Return why a replay would only produce another dead letter; None when it may succeed."""
        if self.reason not in CURABLE:
            return f"{self.reason} is permanent: the same bytes fail again"
        if self.replays >= MAX_REPLAYS:
            return f"replayed {self.replays} times already: find the cause first"
        return None

    def headers_again(self, by: str, why: str, at: datetime) -> list[tuple[str, bytes]]:
        """Return the headers of a replay: the message's own, its event id, the operator, reason and current trace."""
        own = [(name, value) for name, value in self.headers if name.lower() not in FAILURE | REPLAY]
        if not self.header("ce_id"):
            # Its id was derived from its first place: at its new place consumers would derive another one.
            own = [(name, value) for name, value in own if name.lower() != "ce_id"]
            own.append(("ce_id", self.event_id.encode()))
        added = {
            REPLAYED_AT: at.isoformat().replace("+00:00", "Z"),
            "x-replayed-by": by,
            "x-replay-reason": why,
            "x-replay-count": str(self.replays + 1),
        }
        if current := telemetry.inject({}).get("traceparent"):
            added[REPLAY_LINK] = current
        return [*own, *((name, value.encode()) for name, value in added.items())]


def as_json(letter: Letter) -> dict[str, Any]:
    """Return a letter as JSON values, without key, headers and value."""
    return {
        "topic": letter.topic,
        "place": letter.place,
        "failed_at": letter.header("x-failed-at") or letter.time.isoformat(),
        "order_id": letter.order_id,
        "event_id": letter.event_id,
        "reason": letter.reason,
        "error": letter.header("x-error"),
        "handler": letter.header("x-handler"),
        "tries": letter.tries,
        "replays": letter.replays,
    }


def source_topic(name: str) -> str:
    """Return the topic for a name with or without `.dlq`. Raises Invalid for an unknown one."""
    topic = DEAD_LETTERS.get(name, name)
    if topic not in PRODUCERS:
        raise Invalid(f"no topic is called {name}; there are {', '.join(PRODUCERS)}")
    return topic


def read_place(text: str) -> tuple[int, int]:
    """Read `PARTITION:OFFSET`. Raises Invalid."""
    partition, colon, offset = text.partition(":")
    if not colon or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in (partition, offset)):
        raise Invalid(f"a dead letter's place is PARTITION:OFFSET, for example 2:17, not {text!r}")
    return int(partition), int(offset)
