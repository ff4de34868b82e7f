"""The memory of the services while they are attacked."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from fc.stack.layout import SERVICES
from fc.stack.local import Stack

EVERY_S = 2.0


@dataclass
class Memory:
    """Reads each service's proportional set size, its children's included, and keeps the largest in MiB."""

    stack: Stack
    largest: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SERVICES, 0.0))

    async def watch(self) -> None:
        """Read until cancelled."""
        while True:
            for name, size in (await asyncio.to_thread(self._read)).items():
                self.largest[name] = max(self.largest[name], size)
            await asyncio.sleep(EVERY_S)

    def _read(self) -> dict[str, float]:
        return {name: _mib(self.stack.supervisor.state(name).pid) for name in SERVICES}


def _mib(pid: int) -> float:
    total = 0
    with suppress(psutil.Error):
        service = psutil.Process(pid)
        for process in (service, *service.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total / (1 << 20)
