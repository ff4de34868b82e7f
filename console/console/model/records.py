"""Records of any topic as pages show them: any bytes as text, and the ids that lead to other pages."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

MAX_SHOWN_BYTES = 64 * 1024
MAX_EXCERPT = 160
DLQ_SUFFIX = ".dlq"

_ORDER = re.compile(r"order-([1-9]\d{0,17})", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_PLACE = re.compile(r"([\w.-]{1,249}):(\d{1,6}):(\d{1,18})", re.ASCII)
# The most positions in a link that the console makes.
MAX_PLACES = 64

Place = tuple[str, int]
"""Topic and partition."""
Positions = Mapping[Place, int]


@dataclass(frozen=True)
class Event:
    """A record. `published_at` is the producer's clock; `unreadable` says why it could not be unpacked."""

    topic: str
    partition: int
    offset: int
    published_at: datetime
    raw_key: bytes | None
    raw_headers: tuple[tuple[str, bytes], ...]
    value: bytes | None
    unreadable: str | None = None

    @property
    def url(self) -> str:
        return f"/events/{self.topic}/{self.partition}/{self.offset}"

    @property
    def key(self) -> str | None:
        return None if self.raw_key is None else text_of(self.raw_key, 500)

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        return [(name[:200], text_of(value, 2_000)) for name, value in self.raw_headers[:100]]

    @cached_property
    def _named(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers}

    @property
    def origin(self) -> str:
        """The topic whose message it is; that of a dead letter is where it came from."""
        return self.topic.removesuffix(DLQ_SUFFIX)

    @property
    def event_id(self) -> str:
        return self._named.get("ce_id") or self._named.get("x-event-id") or ""

    @property
    def order_id(self) -> int | None:
        found = _ORDER.fullmatch(self.key or "")
        return int(found[1]) if found else None

    @property
    def trace_id(self) -> str | None:
        return trace_id_of(self._named.get("traceparent"))

    @property
    def linked_trace_ids(self) -> list[str]:
        named = (trace_id_of(self._named.get(name)) for name in ("x-link-traceparent", "x-replay-traceparent"))
        return [each for each in named if each]

    @property
    def raw(self) -> str:
        return text_of(self.value or b"", MAX_SHOWN_BYTES)

    @property
    def pretty(self) -> str | None:
        """The value as indented JSON; None for what is no JSON, or too large to be worth it."""
        if not self.value or len(self.value) > MAX_SHOWN_BYTES:
            return None
        try:
            text = json.dumps(json.loads(self.value), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return None
        # JSON can name a single surrogate, which no page can hold.
        return text.encode("utf-8", "backslashreplace").decode()

    @property
    def excerpt(self) -> str:
        if self.unreadable is not None:
            return f"can't be unpacked: {self.unreadable}"
        return "no value" if self.value is None else text_of(self.value, MAX_EXCERPT)


def text_of(content: bytes, limit: int) -> str:
    """Return bytes as text; what is no UTF-8 is written as \\xff, and what is cut off is counted."""
    text = content[:limit].decode("utf-8", "backslashreplace")
    return text if len(content) <= limit else f"{text} ... {len(content) - limit:,} more bytes"


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace of a `traceparent`; None when it names none."""
    found = _TRACE.fullmatch(traceparent or "")
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Reading:
    """Some records, oldest first. `positions` is where the next reading goes on; `more` says whether there is more."""

    events: list[Event]
    positions: Positions
    more: bool

    @property
    def link(self) -> str:
        return ",".join(
            f"{topic}:{partition}:{offset}" for (topic, partition), offset in sorted(self.positions.items())
        )


def positions_of(link: str) -> dict[Place, int]:
    """Read the positions of `Reading.link`. Raises ValueError."""
    items = link.split(",")
    found = [_PLACE.fullmatch(item) for item in items[: MAX_PLACES + 1]]
    if len(found) > MAX_PLACES or None in found:
        raise ValueError("The link does not name places of records")
    return {(item[1], int(item[2])): int(item[3]) for item in found if item}


def moment_of(text: str) -> datetime:
    """Read a time of a form, in UTC. Raises ValueError."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def first_of(events: Iterable[Event], count: int) -> tuple[list[Event], dict[Place, int]]:
    """Return the oldest records over all partitions, and where those begin that are left out."""
    ordered = sorted(events, key=lambda event: (event.published_at, event.topic, event.partition, event.offset))
    left_out: dict[Place, int] = {}
    for event in ordered[count:]:
        place = (event.topic, event.partition)
        left_out[place] = min(event.offset, left_out.get(place, event.offset))
    return ordered[:count], left_out
