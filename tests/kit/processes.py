"""Service processes that a test starts itself: beside the supervised ones, or in their place."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2

from fc.demo.shop import poll
from fc.stack.local import Stack
from testkit import free_port

EXIT_S = 25
READY_S = 60

Environment = Mapping[str, str]


class ServiceProcess:
    """One process of a service; `url` is its HTTP address, `log` takes its output."""

    def __init__(self, service: str, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.service = service
        self.process = process
        self.url = url
        self.log = log

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit_code(self, deadline_s: float = EXIT_S) -> int:
        """Wait for the end of the process. The code is negative for a signal: -9 is SIGKILL."""

        async def ended() -> bool:
            return self.process.poll() is not None

        await poll(ended, f"{self.service} ends, see {self.log}", deadline_s, 0.02)
        return int(self.process.returncode)

    async def killed(self) -> None:
        """Wait until the process has ended by SIGKILL; any other end fails the test."""
        assert await self.exit_code(30) == -signal.SIGKILL, f"see {self.log}"

    async def ready(self) -> None:
        """Wait until /ready answers 200."""

        async def answers_200() -> bool:
            try:
                return bool((await client.get(f"{self.url}/ready")).status_code == 200)
            except httpx2.HTTPError:
                return False

        async with httpx2.AsyncClient(timeout=20, trust_env=False) as client:
            await poll(answers_200, f"{self.url} is ready", READY_S, 0.05)


def log_by_test(stack: Stack, service: str) -> Path:
    """Return the log of a service's processes that tests start."""
    return stack.home / "logs" / f"{service}-by-test.log"


@asynccontextmanager
async def replica(
    stack: Stack, service: str, environment: Environment | None = None, *, command: str = "serve", ready: bool = True
) -> AsyncIterator[ServiceProcess]:
    """Run one more process of a service, on free ports unless `environment` names them."""
    settings = {**stack.programs.environment(service), "HTTP_PORT": str(free_port())}
    if "GRPC_PORT" in settings:
        settings["GRPC_PORT"] = str(free_port())
    settings |= environment or {}
    log = log_by_test(stack, service)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", service, command], env={**os.environ, **settings}, stdout=output, stderr=output
        )
    started = ServiceProcess(service, process, f"http://localhost:{settings['HTTP_PORT']}", log)
    try:
        if ready:
            await started.ready()
        yield started
    finally:
        await _stop(started)


async def _stop(started: ServiceProcess) -> None:
    if started.process.poll() is None:
        # A process that is stopped by SIGSTOP does not handle SIGTERM.
        started.signal(signal.SIGCONT)
        started.process.terminate()
        try:
            await started.exit_code()
        except TimeoutError:
            started.process.kill()
    started.process.wait()


@asynccontextmanager
async def stopped(stack: Stack, *programs: str) -> AsyncIterator[None]:
    """Stop supervised programs for the block. Afterwards all of them run, and services are ready."""
    for name in programs:
        await asyncio.to_thread(stack.supervisor.stop, name)
    try:
        yield
    finally:
        await asyncio.to_thread(stack.up)


@asynccontextmanager
async def replaced(
    stack: Stack, environments: Mapping[str, Environment], *, ready: bool = True
) -> AsyncIterator[dict[str, ServiceProcess]]:
    """Run services with further settings in the place of the supervised ones, on the same ports, for the block."""
    async with stopped(stack, *environments), AsyncExitStack() as exits:
        yield {
            service: await exits.enter_async_context(
                replica(stack, service, {**stack.programs.environment(service), **settings}, ready=ready)
            )
            for service, settings in environments.items()
        }


@asynccontextmanager
async def killed_at(stack: Stack, service: str, failpoint: str) -> AsyncIterator[None]:
    """Have a service kill itself at a failpoint in the block. Leaving the block waits until it has."""
    async with replaced(stack, {service: {"FAILPOINTS": f"{failpoint}=kill"}}) as processes:
        yield
        await processes[service].killed()
