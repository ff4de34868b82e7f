"""The log lines of one order: from the files of the local stack or from docker compose, and from VictoriaLogs."""

import json
import re
import subprocess
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx2

from fc.ops import log_files
from fc.stack import compose
from fc.stack.errors import StackError
from fc.stack.layout import ROOT, SERVICES, SIMULATOR, Layout

STORE_S = 5
COMPOSE_S = 30
# Of each container.
COMPOSE_LINES = 200_000
# Which lines of two sources are one.
SAME = ("timestamp", "service", "logger", "event", "span_id")

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a line has to have one of: the order's id, its key, one of its traces."""

    order_id: int
    trace_ids: Collection[str]
    since: datetime

    @property
    def key(self) -> str:
        return f"order-{self.order_id}"

    def pattern(self) -> re.Pattern[bytes]:
        """Return what every wanted line contains, and few others."""
        texts = [f'"order_id":{self.order_id}', f'"order_id": {self.order_id}', f'"{self.key}"', *self.trace_ids]
        return re.compile(b"|".join(re.escape(text.encode()) for text in texts))

    def has(self, line: Line) -> bool:
        # A log store returns every value as text.
        return (
            str(line.get("order_id")) == str(self.order_id)
            or line.get("key") == self.key
            or line.get("external_id") == self.key
            or line.get("trace_id") in self.trace_ids
        )

    def query(self) -> str:
        """Return the query of VictoriaLogs."""
        parts = [f'order_id:="{self.order_id}"', f'key:="{self.key}"']
        if self.trace_ids:
            parts.append(f"trace_id:in({','.join(sorted(self.trace_ids))})")
        return " OR ".join(parts)


@dataclass(slots=True)
class Lines:
    """The last lines, oldest first; `sources` have answered, `notes` say what has not."""

    lines: list[Line]
    sources: list[str]
    notes: list[str]


def find(wanted: Wanted, limit: int, store: str | None) -> Lines:
    """Return the last `limit` lines; `store` is the address of VictoriaLogs."""
    found = Lines([], [], [])
    _add(found, "docker compose" if compose.engine() else "files", lambda: _here(wanted, limit))
    if store:
        _add(found, "VictoriaLogs", lambda: _stored(store, wanted, limit))
    by_identity = {tuple(line.get(name) for name in SAME): line for line in reversed(found.lines)}
    found.lines = sorted(by_identity.values(), key=lambda line: str(line["timestamp"]))[-limit:] if limit else []
    return found


def _add(found: Lines, source: str, read: Callable[[], list[Line]]) -> None:
    try:
        found.lines += read()
        found.sources.append(source)
    except (StackError, OSError, subprocess.SubprocessError, httpx2.HTTPError, ValueError) as error:
        found.notes.append(f"without the lines of {source}: {error}")


def _here(wanted: Wanted, limit: int) -> list[Line]:
    if compose.engine():
        return _last(_containers(wanted.since), wanted, limit)
    layout = Layout.from_environment()
    logs = (layout.log(name) for name in (*SERVICES, SIMULATOR))
    return [line for log in logs for line in _last(log_files.lines(log), wanted, limit)]


def _last(raw: Iterable[bytes], wanted: Wanted, limit: int) -> list[Line]:
    last: deque[Line] = deque(maxlen=limit)
    contains = wanted.pattern().search
    for text in raw:
        if contains(text):
            line = _parsed(text)
            if line and wanted.has(line):
                last.append(line)
    return list(last)


def _parsed(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and {"timestamp", "event", "service"} <= line.keys() else None


def _containers(since: datetime) -> Iterator[bytes]:
    command = ["docker", "compose", "logs", "--no-log-prefix", "--no-color", "--tail", str(COMPOSE_LINES)]
    command += ["--since", since.isoformat(), *SERVICES]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=COMPOSE_S, check=False)
    if result.returncode:
        raise StackError(result.stderr.decode("utf-8", "replace").strip()[-200:])
    yield from result.stdout.splitlines()


def _stored(store: str, wanted: Wanted, limit: int) -> list[Line]:
    form = {"query": wanted.query(), "start": wanted.since.isoformat(), "limit": str(limit)}
    with (
        httpx2.Client(timeout=STORE_S, trust_env=False) as client,
        client.stream("POST", f"{store}/select/logsql/query", data=form) as answer,
    ):
        answer.raise_for_status()
        return [_of_store(json.loads(text)) for text in islice(answer.iter_lines(), limit) if text]


def _of_store(record: dict[str, Any]) -> Line:
    """Give the fields of a record in the store their names in a log line."""
    time = datetime.fromisoformat(record["_time"]).astimezone(UTC)
    own = {"timestamp": f"{time:%Y-%m-%dT%H:%M:%S.%fZ}", "event": record["_msg"], "service": record["service.name"]}
    # What the store and the collector add.
    return own | {
        name: value for name, value in record.items() if not name.startswith(("_", "severity_")) and "." not in name
    }
