"""What a service reports: the lines of its log and its metrics."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.kit.processes import log_by_test

FAILPOINT_HIT = "failpoint hit"
STOCK_TAKEN = "stock update applied"


class LogTail:
    """The lines that are added to a log after this object is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = path.stat().st_size if path.exists() else 0

    @classmethod
    def of(cls, arena: Arena, service: str) -> "LogTail":
        """Follow the log of a service's processes that tests start."""
        return cls(log_by_test(arena.stack, service))

    def lines(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the lines with this event and these fields."""
        found = []
        with self._path.open("rb") as file:
            file.seek(self._start)
            for line in file.read().splitlines():
                with suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
        return [line for line in found if line.get("event") == event and fields.items() <= line.items()]

    async def wait(self, event: str, count: int = 1, deadline_s: float = 30, **fields: object) -> list[dict[str, Any]]:
        """Wait for so many lines and return them."""

        async def there() -> list[dict[str, Any]] | None:
            found = self.lines(event, **fields)
            return found if len(found) >= count else None

        return list(await poll(there, f"{count} lines {event!r} {fields} in {self._path}", deadline_s, 0.02))


async def metric(arena: Arena, url: str, name: str, **labels: str) -> float:
    """Read a metric of a service's process; 0.0 when it has no value yet."""
    answer = await arena.client.get(f"{url}/metrics")
    answer.raise_for_status()
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
