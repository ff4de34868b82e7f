"""Batches: who is in which, who gets which result, and that nobody waits or fails for another."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import batching
from chassis.batching import Batches
from testkit import eventually

caller: ContextVar[str] = ContextVar("caller", default="nobody")


class Bad(Exception):
    """An item that spoils its batch; nothing was done."""


class Broken(Exception):
    """Nobody knows whether something was done."""


class Work:
    """Doubles numbers. A batch waits until `gate` is open; what has `bad` in it raises."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.callers: list[str] = []
        self.bad: set[int] = set()
        self.error: type[Exception] = Bad
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_work = self.most_at_work = 0

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.callers.append(caller.get())
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await self.gate.wait()
            for _ in range(5):
                await asyncio.sleep(0)
            if self.bad.intersection(items):
                raise self.error(f"in a batch of {len(items)}")
            return [item * 2 for item in items]
        finally:
            self.at_work -= 1


@pytest.fixture
def work() -> Work:
    return Work()


def batches_of(work: Work, **options: Any) -> Batches[int, int]:
    return Batches(work, lambda error: isinstance(error, Bad), **options)


async def outcomes(batches: Batches[int, int], items: Sequence[int]) -> list[int | BaseException]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*(batches.submit(item) for item in items), return_exceptions=True)


async def test_one_item_begins_at_once_and_what_waits_meanwhile_makes_the_next_batch_oldest_first(work: Work) -> None:
    batches = batches_of(work, at_work=1)
    work.gate.clear()
    first = batches.submit(1)
    await eventually(lambda: work.batches)
    others = [batches.submit(item) for item in range(2, 100)]
    await asyncio.sleep(0)
    assert work.batches == [[1]]
    work.gate.set()
    assert await asyncio.gather(first, *others) == [item * 2 for item in range(1, 100)]
    assert work.batches == [[1], list(range(2, 66)), list(range(66, 100))]


async def test_items_of_the_same_turn_are_one_batch_and_no_more_batches_than_allowed_work_at_a_time(work: Work) -> None:
    assert await outcomes(batches_of(work), range(300)) == [item * 2 for item in range(300)]
    assert [len(batch) for batch in work.batches] == [64, 64, 64, 64, 44]
    assert work.most_at_work == 2
    assert [item for batch in work.batches for item in batch] == list(range(300)), "first come, first served"


@given(st.integers(2, 12).flatmap(lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), min_size=1))))
async def test_bad_items_at_any_position_get_their_own_error_and_the_others_their_result(
    drawn: tuple[int, set[int]],
) -> None:
    size, bad = drawn
    work = Work()
    work.bad = bad
    ends = await outcomes(batches_of(work), range(size))
    assert work.batches == [list(range(size)), *([item] for item in range(size))]
    for item, end in enumerate(ends):
        assert str(end) == ("in a batch of 1" if item in bad else str(item * 2))


async def test_an_error_after_which_something_may_be_done_goes_to_all_and_nothing_is_run_again(work: Work) -> None:
    work.bad, work.error = {2}, Broken
    ends = await outcomes(batches_of(work), range(5))
    assert {type(end) for end in ends} == {Broken}
    assert work.batches == [list(range(5))]
    work.bad = set()
    assert await outcomes(batches_of(work), [7]) == [14]


async def test_a_single_item_is_run_once_whatever_it_raises(work: Work) -> None:
    work.bad = {1}
    with pytest.raises(Bad, match="in a batch of 1"):
        await batches_of(work).submit(1)
    assert work.batches == [[1]]


async def test_work_that_forgets_a_result_fails_and_leaves_nobody_waiting(work: Work) -> None:
    async def forgetful(items: Sequence[int]) -> list[int]:
        return [0 for _ in items[1:]]

    ends = await outcomes(Batches(forgetful, lambda error: False), [1, 2])
    assert isinstance(ends[1], ValueError)


async def test_a_cancelled_caller_leaves_the_batch_to_the_others_and_is_left_out_of_the_next(work: Work) -> None:
    batches = batches_of(work, at_work=1)
    work.gate.clear()

    async def call(item: int) -> int:
        return await batches.submit(item)

    running = [asyncio.create_task(call(item)) for item in (1, 2, 3)]
    await eventually(lambda: work.batches)
    waiting = [asyncio.create_task(call(item)) for item in (4, 5, 6)]
    await asyncio.sleep(0)
    for gone in (running[0], waiting[1]):
        gone.cancel()
    work.gate.set()
    ends = await asyncio.gather(*running, *waiting, return_exceptions=True)
    assert [end if isinstance(end, int) else type(end) for end in ends] == [
        asyncio.CancelledError,
        4,
        6,
        8,
        asyncio.CancelledError,
        12,
    ]
    assert work.batches == [[1, 2, 3], [4, 6]]


async def test_a_caller_that_is_cancelled_while_bad_items_are_sorted_out_is_not_run_by_itself(work: Work) -> None:
    batches = batches_of(work, at_work=1)
    work.gate.clear()
    futures = [batches.submit(item) for item in (1, 2, 3)]
    await eventually(lambda: work.batches)
    work.bad = {1}
    futures[1].cancel()
    work.gate.set()
    ends = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(ends[0]), type(ends[1]), ends[2]] == [Bad, asyncio.CancelledError, 6]
    assert work.batches == [[1, 2, 3], [1], [3]]


async def test_items_that_must_be_apart_are_never_in_one_batch_and_keep_their_order(work: Work) -> None:
    batches = batches_of(work, apart=lambda item: item % 10)
    items = [1, 11, 2, 21, 12, 3, 31]
    assert await outcomes(batches, items) == [item * 2 for item in items]
    assert work.batches == [[1, 2, 3], [11, 12], [21], [31]]


async def test_a_batch_that_hangs_holds_up_nobody_else(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "SLOW_S", 0.01)
    batches = batches_of(work, at_work=1)
    work.gate.clear()
    hanging = batches.submit(1)
    await eventually(lambda: work.batches)
    others = [batches.submit(item) for item in (2, 3)]
    await eventually(lambda: work.batches == [[1], [2, 3]])
    work.gate.set()
    assert await asyncio.gather(hanging, *others) == [2, 4, 6]


async def test_a_batch_of_one_runs_in_its_callers_context_and_a_larger_one_in_none(
    work: Work,
) -> None:
    batches = batches_of(work, at_work=1)

    async def call(name: str, item: int) -> int:
        caller.set(name)
        return await batches.submit(item)

    await asyncio.create_task(call("Ani", 1))
    work.bad = {3}
    calls = (asyncio.create_task(call(name, item)) for name, item in (("Budi", 2), ("Citra", 3)))
    await asyncio.gather(*calls, return_exceptions=True)
    assert work.callers == ["Ani", "nobody", "Budi", "Citra"]
    assert caller.get() == "nobody"
