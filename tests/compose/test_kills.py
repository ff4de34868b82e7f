"""SIGKILL to the first process of each container in turn: all comes back by itself, and no order is lost."""

import asyncio
import time
from collections.abc import Awaitable

import pytest

from fc.demo.shop import Customer, Shop, poll
from fc.stack.containers import HEALTHY
from tests.compose.kit.orders import PATIENCE_S, order_through
from tests.compose.kit.platform import Platform
from tests.compose.kit.record import Record
from tests.contract.compose import is_job, resolved

SERVERS = [name for name, one in resolved()["services"].items() if not is_job(one) and not one.get("profiles")]


@pytest.mark.parametrize("name", SERVERS)
async def test_what_is_killed_comes_back_and_the_order_of_that_moment_is_completed(
    platform: Platform, shop: Shop, buyer: Customer, record: Record, name: str
) -> None:
    product = await shop.product("Ceramic Mug")
    began = time.monotonic()
    killed = platform.kill(name)
    ordering = asyncio.create_task(_timed(order_through(shop, buyer, product), began))

    async def back() -> bool:
        state = await asyncio.to_thread(platform.containers)
        return state[name].state == HEALTHY and await asyncio.to_thread(platform.process, name) not in (0, killed)

    await poll(back, f"{name} is healthy again", PATIENCE_S, 0.2)
    healthy = time.monotonic() - began
    record.kills[name] = (healthy, await ordering)


async def _timed(work: Awaitable[object], began: float) -> float:
    await work
    return time.monotonic() - began


def test_after_all_that_the_audit_finds_nothing(platform: Platform, record: Record) -> None:
    record.step("`fc audit` after every container was killed once", platform.audited())
