"""Failpoints do nothing unless armed, and act at the hit that was asked for."""

import asyncio
import sys
import time
from collections.abc import Iterator

import pytest

from chassis.failpoint import FailpointError, arm, check, failpoint


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


async def test_an_unarmed_failpoint_does_nothing() -> None:
    await failpoint("relay.after_send")
    arm("relay.before_send=raise")
    await failpoint("relay.after_send")


async def test_an_armed_failpoint_raises_at_its_hit_only() -> None:
    arm("relay.after_send=raise@2")
    await failpoint("relay.after_send")
    with pytest.raises(FailpointError):
        await failpoint("relay.after_send")
    await failpoint("relay.after_send")


async def test_a_star_acts_at_each_hit_and_several_points_are_armed_at_once() -> None:
    arm("a=timeout@*, b=raise")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await failpoint("a")
    with pytest.raises(FailpointError):
        await failpoint("b")


async def test_a_delay_lets_others_run_and_a_block_does_not() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    arm("slow=delay:0.05, stuck=block:0.05")
    began = time.monotonic()
    await failpoint("slow")
    seen = ticks
    await failpoint("stuck")
    assert time.monotonic() - began >= 0.1
    assert seen > 10
    assert ticks == seen
    ticking.cancel()


async def test_a_kill_ends_the_process_with_sigkill() -> None:
    code = "import asyncio\nfrom chassis.failpoint import arm, failpoint\narm('x=kill')\nasyncio.run(failpoint('x'))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == -9


@pytest.mark.parametrize(
    "wrong", ["relay", "relay=explode", "relay=kill@often", "a=delay", "a=kill@0", "a=kill,,b=kill"]
)
def test_a_specification_that_cannot_be_read_is_refused_with_what_is_allowed(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"should be name=ACTION"):
        arm(wrong)
    with pytest.raises(ValueError, match=r"should be name=ACTION"):
        check(wrong)
