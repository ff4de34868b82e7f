"""What processes take, with the processes that they have started: CPU, wake-ups and memory."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

MIB = 1 << 20


def family(pid: int) -> Iterator[psutil.Process]:
    """Yield a process and its descendants; nothing when it has ended."""
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        yield parent
        yield from parent.children(recursive=True)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, of its descendants, and of its children that have ended."""
    total = 0.0
    for number, process in enumerate(family(pid)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
            if number == 0:
                total += times.children_user + times.children_system
    return total


def wake_ups(pid: int) -> dict[int, int]:
    """Return how often each thread of a process and of its descendants has gone to sleep since it began."""
    return {thread: count for process in family(pid) for thread, count in _switches(process.pid)}


def _switches(pid: int) -> Iterator[tuple[int, int]]:
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with suppress(OSError, ValueError):
            lines = status.read_text(encoding="utf-8").splitlines()
            switches = (int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
            yield int(status.parent.name), sum(switches)


def pss_mib(pid: int) -> float:
    """Return the proportional set size of a process and its descendants."""
    total = 0
    for process in family(pid):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / MIB
