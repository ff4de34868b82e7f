"""The claim loop: slots are bounded, a slow item delays no other, a failing item ends nothing else."""

import asyncio
from collections import deque

from paymentfc.claim_loop import ClaimLoop
from testkit import eventually


class Queue:
    """Items to be claimed, and the items done."""

    def __init__(self, *items: str) -> None:
        self.waiting = deque(items)
        self.done: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.release = asyncio.Event()

    async def claim(self, limit: int) -> list[str]:
        return [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]

    async def work(self, item: str) -> None:
        """Work on an item: `slow` waits for `release`, `bad` fails."""
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            if item == "slow":
                await self.release.wait()
            if item == "bad":
                raise RuntimeError("bad")
            await asyncio.sleep(0)
            self.done.append(item)
        finally:
            self.at_once -= 1


async def test_slots_bound_the_work_and_a_slow_item_holds_up_none_of_the_others() -> None:
    queue = Queue("slow", *(f"item-{number}" for number in range(50)))
    stop = asyncio.Event()
    running = asyncio.create_task(ClaimLoop("t", queue.claim, queue.work, slots=4).run(stop))
    await eventually(lambda: len(queue.done) == 50)
    assert queue.most_at_once == 4
    stop.set()
    queue.release.set()
    await running
    assert queue.done[-1] == "slow"


async def test_more_items_than_were_asked_for_are_worked_off_before_the_next_claim() -> None:
    queue, limits = Queue(*["slow"] * 10, "last"), list[int]()

    async def generous(limit: int) -> list[str]:
        limits.append(limit)
        return await queue.claim(10)

    stop, wake = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(ClaimLoop("t", generous, queue.work, wake=wake, slots=4).run(stop))
    await eventually(lambda: queue.at_once == 10)
    wake.set()
    await eventually(lambda: not wake.is_set())
    queue.release.set()
    await eventually(lambda: queue.done == [*["slow"] * 10, "last"])
    assert min(limits) > 0
    stop.set()
    await running


async def test_a_failing_item_ends_neither_the_loop_nor_the_others() -> None:
    queue = Queue("bad", "good")
    stop, wake = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(ClaimLoop("t", queue.claim, queue.work, wake=wake).run(stop))
    await eventually(lambda: queue.done == ["good"])
    queue.waiting.append("woken")
    wake.set()
    await eventually(lambda: queue.done == ["good", "woken"])
    stop.set()
    await running
