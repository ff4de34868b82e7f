"""A stack for tests: started and removed, its secrets, and a service that dies at a failpoint."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from chassis.config.settings import load
from fc.demo.shop import poll
from fc.stack.local import Stack
from fc.stack.programs import settings_class

SECRETS = {
    name: f"{name.lower().replace('_', '-')}-{secrets.token_hex(24)}"
    for name in ("JWT_SECRET", "GRPC_CREDENTIALS", "XENDIT_SECRET_API_KEY", "XENDIT_WEBHOOK_TOKEN", "ADMIN_PASSWORD")
}
"""What this session's stack is told, so that a test can look for it where it must not be."""


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Start a stack for the block; stop and remove it afterwards."""
    stack.up()
    try:
        yield stack
    finally:
        stack.down()
        stack.wipe()


def secret_of(stack: Stack, service: str, name: str) -> str:
    """Give a secret as a service of the stack has it."""
    told = stack.programs.environment(service).get(name.upper())
    return told or str(getattr(load(settings_class(service)), name).get_secret_value())


@asynccontextmanager
async def killed_at(stack: Stack, service: str, line: str) -> AsyncIterator[None]:
    """Run a service in place of its supervised one so that it kills itself at a failpoint, then give it back.

    Leaving the block waits until the process has died of SIGKILL: a test that never reached the line fails.
    """
    supervisor = stack.supervisor
    await asyncio.to_thread(supervisor.stop, service)
    environment = {**os.environ, **stack.programs.environment(service), "FAILPOINTS": f"{line}=kill@1"}
    log = stack.home / "logs" / f"{service}-killed.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", service, "serve"], env=environment, stdout=output, stderr=output
        )
        try:
            await stack.ready(service)
            yield
            await poll(lambda: _ended(process), f"{service} dies at {line}", 30)
            assert process.returncode == -9, f"{service} ended with {process.returncode}, see {log}"
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            await asyncio.to_thread(supervisor.start, service)
            await stack.ready(service)


async def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None
