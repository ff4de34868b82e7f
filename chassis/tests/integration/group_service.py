"""A service without servers behind it, which the tests of several processes run: `python group_service.py serve`."""

import asyncio
import os
import time
from functools import partial
from pathlib import Path

from chassis.auth.revocation import Authority
from chassis.config.settings import ServiceSettings
from chassis.grpc import server as grpc
from chassis.http.probes import Readiness
from chassis.http.routing import Router
from chassis.ids import PathId
from chassis.loops import Loop
from chassis.resources import Parts, Resources
from chassis.service import Service, run_cli

FOLDER = Path(os.environ["TEST_FOLDER"])

router = Router(prefix="/v1")


@router.get("/pid")
async def pid() -> int:
    """Say who answers."""
    return os.getpid()


@router.get("/slow/{ms}")
async def slow(ms: PathId) -> int:
    """Answer late, and say at once that there is a request in work."""
    (FOLDER / f"slow-{os.getpid()}").touch()
    await asyncio.sleep(ms / 1000)
    return os.getpid()


@router.get("/block/{ms}")
async def block(ms: PathId) -> int:
    """Hold up everything in this process, and say so first."""
    (FOLDER / f"block-{os.getpid()}").touch()
    time.sleep(ms / 1000)
    return os.getpid()


class Nobody(Authority):
    """Knows no token."""

    async def validate_token(self, token: str) -> bool:
        return False


async def _work() -> None:
    with (FOLDER / "worked").open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")


async def _check() -> None:
    if (FOLDER / f"broken-{os.getpid()}").exists():
        raise ConnectionError


async def _check_cache() -> None:
    if (FOLDER / "cache-hangs").exists():
        await asyncio.Event().wait()


async def build(settings: ServiceSettings) -> Parts:
    """Describe a service whose database is a file."""
    resources = Resources(settings)
    resources.ready = Readiness()
    resources.ready.add("database", _check, critical=True)
    resources.ready.add("cache", _check_cache)
    return Parts(
        resources,
        resources.verifier(Nobody()),
        state={},
        grpc=partial(grpc.server, settings, {}),
        loops=[Loop("work", 0.05, _work)],
    )


if __name__ == "__main__":
    run_cli(Service("chassis", ServiceSettings, build, routers=[router], description="d"))
