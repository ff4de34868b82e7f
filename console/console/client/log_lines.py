"""Where log lines are found: the files of a local stack, VictoriaLogs, or Loki."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import httpx2

from console.client import bounded
from console.client.admin_api import NoAnswer
from console.model.log_lines import Found, Wanted, last_of, of_loki, of_victorialogs

# The most time that reading the files may take.
TIMEOUT_S = 1.5
# The most bytes that are read of all files together, from their ends.
MAX_FILE_BYTES = 40 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
MAX_LINE_BYTES = 1024 * 1024
# Files of these names are read; the servers of a stack write no JSON.
SERVICES = ("userfc", "productfc", "orderfc", "paymentfc", "console", "xendit")


class Logs(Protocol):
    """Finds lines; `name` is what a page calls it. Raises NoAnswer."""

    name: str

    async def find(self, wanted: Wanted, since: datetime, limit: int) -> Found:
        """Return the last `limit` lines since a time."""


class NoLogs:
    """Stands for the logs where no store is configured."""

    name = "the logs"

    async def find(self, wanted: Wanted, since: datetime, limit: int) -> Found:  # noqa: ARG002 - as a store has it
        """Raise NoAnswer."""
        raise NoAnswer("neither LOGS_URL nor LOGS_DIR names a store")


class LogFiles:
    """The files of a local stack, each with the older half beside it, read backwards."""

    name = "the log files"

    def __init__(self, folder: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    async def find(self, wanted: Wanted, since: datetime, limit: int) -> Found:
        """Return the last `limit` lines since a time, of what the bounds let it read."""
        return await asyncio.to_thread(self._find, wanted, since, limit)

    def _find(self, wanted: Wanted, since: datetime, limit: int) -> Found:
        files = [self._folder / f"{name}.log" for name in SERVICES]
        present = [file for file in files if file.exists()]
        if not present:
            raise NoAnswer(f"no log of a service is in {self._folder}")
        reader = _Backwards(self._max_bytes, since, time.monotonic() + TIMEOUT_S)
        lines = [line for file in present for line in reader.lines(file, wanted, self._max_bytes // len(present))]
        return last_of(lines, wanted, limit, cut=reader.cut)


class _Backwards:
    """Reads files from their ends until a line is older than wanted, or a bound is reached."""

    def __init__(self, max_bytes: int, since: datetime, deadline: float) -> None:
        self._left = max_bytes
        self._since = since.strftime("%Y-%m-%dT%H:%M:%S")
        self._deadline = deadline
        self.cut = False

    def lines(self, file: Path, wanted: Wanted, max_bytes: int) -> Iterator[dict[str, Any]]:
        contains = wanted.pattern().search
        left = min(max_bytes, self._left)
        rest = b""
        for block in _blocks((file, file.with_name(f"{file.name}.1"))):
            if left <= 0 or time.monotonic() > self._deadline:
                self.cut = True
                return
            left -= len(block)
            self._left -= len(block)
            rest, *whole = (block + rest).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                rest = b""
            yield from (line for text in whole if contains(text) and (line := _parsed(text)))
            if self._is_too_old(whole):
                return
        if contains(rest) and (line := _parsed(rest)):
            yield line

    def _is_too_old(self, whole: Sequence[bytes]) -> bool:
        first = next((line for text in whole[:50] if (line := _parsed(text))), None)
        return first is not None and str(first.get("timestamp", "9")) < self._since


def _blocks(files: Sequence[Path]) -> Iterator[bytes]:
    """Yield the content of files in blocks, from the end of the first to the begin of the last."""
    for path in files:
        try:
            with path.open("rb") as file:
                place = file.seek(0, 2)
                while place > 0:
                    begin = max(place - BLOCK_BYTES, 0)
                    file.seek(begin)
                    yield file.read(place - begin)
                    place = begin
        except FileNotFoundError:
            return


def _parsed(text: str | bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


class _Store:
    """A store that is asked over HTTP."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def _ask(self, method: str, path: str, **sent: Any) -> str:
        status, body = await bounded.read(self._http, method, f"{self._url}{path}", **sent)
        if status != 200:
            raise NoAnswer(f"it answers {status}")
        return body.decode(errors="replace")


class VictoriaLogs(_Store):
    """VictoriaLogs, asked by LogsQL."""

    name = "VictoriaLogs"

    async def find(self, wanted: Wanted, since: datetime, limit: int) -> Found:
        """Return the last `limit` lines since a time."""
        form = {"query": wanted.logsql(), "start": since.isoformat(), "limit": str(limit)}
        text = await self._ask("POST", "/select/logsql/query", data=form)
        # Within a line there may be separators that `splitlines` would take for its end, such as U+2028.
        records = [_parsed(line) for line in text.split("\n") if line.strip()]
        lines = [of_victorialogs(record) for record in records if record is not None]
        if records and not lines:
            raise NoAnswer("its answer has no line that can be read")
        return last_of(lines, wanted, limit, cut=len(records) >= limit or len(lines) < len(records))


class Loki(_Store):
    """Loki, asked by LogQL."""

    name = "Loki"

    async def find(self, wanted: Wanted, since: datetime, limit: int) -> Found:
        """Return the last `limit` lines since a time."""
        start = str(int(since.timestamp() * 1e9))
        query = {"query": wanted.logql(), "start": start, "limit": str(limit), "direction": "backward"}
        text = await self._ask("GET", "/loki/api/v1/query_range", params=query)
        try:
            lines = list(of_loki(json.loads(text)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise NoAnswer(type(error).__name__) from None
        return last_of(lines, wanted, limit, cut=len(lines) >= limit)
