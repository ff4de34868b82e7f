"""What the first call of Xendit needs is made at rest, once."""

import asyncio
import subprocess
import sys

import pytest

from paymentfc import warm_up
from paymentfc.client.xendit import Xendit
from paymentfc.warm_up import WarmUp
from testkit import eventually

NEVER_S = 600


async def test_it_is_made_once_after_the_start_and_the_part_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_up, "AFTER_S", 0.01)
    made: list[None] = []

    async def make() -> None:
        made.append(None)

    stop = asyncio.Event()
    running = asyncio.create_task(WarmUp(make).run(stop))
    await eventually(lambda: made)
    assert not running.done(), "a part that ends by itself ends the process"
    stop.set()
    await running
    assert len(made) == 1


async def test_a_service_that_stops_before_makes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_up, "AFTER_S", NEVER_S)
    stop = asyncio.Event()
    stop.set()

    async def make() -> None:
        raise AssertionError("made")

    await asyncio.wait_for(WarmUp(make).run(stop), 5)


async def test_connections_that_are_opened_twice_at_once_are_the_same() -> None:
    xendit = Xendit("http://127.0.0.1:1", "key", allow_http=True)
    first, second = await asyncio.gather(xendit.opened(), xendit.opened())
    assert first is second is await xendit.opened()
    await xendit.close()


def test_opening_imports_all_that_the_first_call_needs() -> None:
    program = """
import asyncio, contextlib, sys
from paymentfc.client.xendit import Xendit
from paymentfc.errors import GatewayUnavailable

async def main():
    xendit = Xendit("http://127.0.0.1:1", "key", allow_http=True)
    assert "aiohttp" not in sys.modules
    await xendit.opened()
    before = set(sys.modules)
    with contextlib.suppress(GatewayUnavailable):
        await xendit.get("1")
    print(*sorted(set(sys.modules) - before))
    await xendit.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
