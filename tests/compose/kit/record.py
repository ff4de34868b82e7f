"""What a run has measured, and the part of docs/evidence/compose.md that is written from it."""

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

BEGIN, END = "<!-- run -->\n", "<!-- end of run -->\n"
NONE = "–"


@dataclass
class Record:
    """The figures of one run: seconds, MiB, and sizes in MB."""

    versions: dict[str, str] = field(default_factory=dict)
    images: dict[str, tuple[float, bool, str]] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    kills: dict[str, tuple[float, float]] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def step(self, what: str, result: str) -> None:
        """Note one result for the table."""
        self.steps.append((what, result))

    def page(self, text: str) -> str:
        """Replace what stands between the marks of a page."""
        before, rest = text.split(BEGIN)
        return f"{before}{BEGIN}\n{''.join(line + chr(10) for line in self._lines())}\n{END}{rest.split(END)[1]}"

    def write(self, path: Path) -> None:
        path.write_text(self.page(path.read_text(encoding="utf-8")), encoding="utf-8")

    def _lines(self) -> Iterator[str]:
        seconds = time.monotonic() - self.began
        yield f"{datetime.now(UTC):%Y-%m-%d}, {machine()}. " + ", ".join(
            f"{name} {version}" for name, version in self.versions.items()
        )
        yield f"`make test-compose`: {len(self.passed)} tests passed, {len(self.failed)} failed, {seconds:.0f} s."
        yield from (f"- failed: `{name}`" for name in self.failed)
        yield from ("", *table(["what", "result"], [list(step) for step in self.steps]))
        yield from ("", "Each image, and each container from its start until it was healthy or had done its job:", "")
        yield from table(["image", "size, MB", "from a registry", "says of itself"], list(self._images()))
        yield from ("", *table(["container", "start, s", "memory after the stories, MiB"], list(self._starts())))
        yield from ("", "SIGKILL to the first process of each container, and one order at that moment:", "")
        yield from table(
            ["killed", "healthy again after, s", "the order completed after, s"],
            [[name, f"{back:.1f}", f"{order:.1f}"] for name, (back, order) in self.kills.items()],
        )

    def _images(self) -> Iterator[list[str]]:
        for name, (size, pulled, version) in sorted(self.images.items()):
            yield [f"`{name}`", f"{size:.0f}", "yes" if pulled else "no, built here", version or NONE]

    def _starts(self) -> Iterator[list[str]]:
        for name, seconds in sorted(self.starts.items()):
            yield [name, f"{seconds:.1f}", f"{self.memory[name]:.0f}" if name in self.memory else NONE]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Format a Markdown table."""
    return [f"| {' | '.join(words)} |" for words in (head, ["---"] * len(head), *rows)]


def machine() -> str:
    """Describe this machine: processors, memory, kernel, and how busy it is with everything that runs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[2]
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()} {platform.release()}, load {load:.1f}"
