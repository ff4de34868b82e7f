"""The check that requests do a service no harm: it lives on, fails at none of them and keeps none in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fc.stack.layout import SERVICES
from tests.chaos.kit.arena import Arena

MAX_GROWTH_BYTES = 64 * 1024 * 1024


@contextmanager
def services_unharmed(arena: Arena) -> Iterator[None]:
    """Check that in the block no service dies, logs a failed request, or grows by 64 MiB."""
    services = {name: (arena.pid(name), arena.stack.layout.log(name).stat().st_size) for name in SERVICES}
    before = {name: peak_memory(pid) for name, (pid, _) in services.items()}
    yield
    for name, (pid, size) in services.items():
        with arena.stack.layout.log(name).open("rb") as log:
            log.seek(size)
            assert [line for line in log if b'"request failed"' in line] == []
        assert arena.pid(name) == pid
        assert peak_memory(pid) - before[name] < MAX_GROWTH_BYTES


def peak_memory(pid: int) -> int:
    """Return the largest resident memory that a process has had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
