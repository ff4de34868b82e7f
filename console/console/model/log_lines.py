"""Log lines: the query for them, their form in each store, and the parts of them that no page shows."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]

MASK = "****"
# As the collector masks them on their way to a store (deploy/observability/collector/logs.yaml).
_MASKED_NAMES = re.compile(r"password|secret|authorization|cookie", re.IGNORECASE)
_MASKED_VALUES = re.compile(
    r"""[^\s@"'<>(),:;=]+@[^\s@"'<>(),:;=]+\.[\w-]+"""
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]+"
    r"|(?:bearer|basic) [\w.~+/=-]{8,}"
    r"|xnd_\w+",
    re.IGNORECASE,
)
_HEAD = frozenset(("timestamp", "level", "service", "event", "logger"))
MAX_FIELD = 8_000

REQUEST_ID = re.compile(r"[\w.-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a line has to be about: an order, a trace, or a request. One of them is given."""

    order_id: int | None = None
    trace_id: str | None = None
    request_id: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """The fields of which one must have this value."""
        if self.order_id is not None:
            key = f"order-{self.order_id}"
            return {"order_id": str(self.order_id), "key": key, "external_id": key}
        return {"trace_id": self.trace_id} if self.trace_id else {"request_id": self.request_id or ""}

    def matches(self, line: Json) -> bool:
        return any(str(line.get(name)) == value for name, value in self.fields.items())

    def pattern(self) -> re.Pattern[bytes]:
        """Return what every wanted line of a file contains, and few others."""
        texts = {f'"{value}"' for value in self.fields.values()}
        if self.order_id is not None:
            texts |= {f'"order_id":{self.order_id}', f'"order_id": {self.order_id}'}
        return re.compile(b"|".join(re.escape(text.encode()) for text in sorted(texts)))

    def logsql(self) -> str:
        """Return the query of VictoriaLogs."""
        return " OR ".join(f'{name}:="{value}"' for name, value in self.fields.items())

    def logql(self) -> str:
        """Return the query of Loki."""
        filters = " or ".join(f'{name}="{value}"' for name, value in self.fields.items())
        return f'{{service_namespace="go-commerce"}} | {filters}'


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a service; `fields` are what it says beside its event."""

    at: datetime
    service: str
    level: str
    event: str
    fields: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> str:
        """The badge of its level."""
        return {"error": "bad", "critical": "bad", "warning": "warn"}.get(self.level, "off")

    @property
    def trace_id(self) -> str | None:
        return dict(self.fields).get("trace_id")


@dataclass(frozen=True, slots=True)
class Found:
    """The last lines, oldest first. `cut` says that not all was looked at, or more was found than is shown."""

    lines: list[Line]
    cut: bool = False


def masked(text: str) -> str:
    return _MASKED_VALUES.sub(MASK, text)


def line_of(line: Json) -> Line | None:
    """Make a line of its fields, with personal data and secrets masked; None for what is no line of a service."""
    try:
        at = datetime.fromisoformat(str(line["timestamp"])).astimezone(UTC)
        service, event = str(line["service"]), str(line["event"])
    except (KeyError, ValueError):
        return None
    fields = tuple(
        (name, MASK if _MASKED_NAMES.search(name) else masked(_text(value))[:MAX_FIELD])
        for name, value in sorted(line.items())
        if name not in _HEAD and value is not None
    )
    return Line(at, service, str(line.get("level", "")), masked(event), fields)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def of_victorialogs(record: Json) -> dict[str, Any]:
    """Give the fields of a record of VictoriaLogs their names in a log line."""
    own = {"timestamp": record.get("_time"), "event": record.get("_msg", ""), "service": record.get("service.name", "")}
    # What the store and the collector add.
    added = {name for name in record if name.startswith(("_", "severity_")) or "." in name}
    return {name: value for name, value in record.items() if name not in added} | own


def of_loki(answer: Json) -> Iterator[dict[str, Any]]:
    """Yield the lines of an answer of Loki with their names in a log line."""
    for stream in answer["data"]["result"]:
        labels: dict[str, Any] = dict(stream["stream"])
        service = labels.pop("service_name", "")
        level = labels.pop("level", labels.pop("detected_level", ""))
        rest = {name: value for name, value in labels.items() if not name.startswith(("service_", "severity_"))}
        for time, event, *_ in stream["values"]:
            at = datetime.fromtimestamp(int(time) / 1e9, UTC)
            yield {**rest, "timestamp": at.isoformat(), "service": service, "level": level, "event": event}


def last_of(lines: Iterable[Json], wanted: Wanted, limit: int, *, cut: bool) -> Found:
    """Return the last lines of those that are about what is wanted."""
    found = [made for line in lines if wanted.matches(line) and (made := line_of(line))]
    found.sort(key=lambda line: (line.at, line.service))
    return Found(found[-limit:], cut or len(found) > limit)
