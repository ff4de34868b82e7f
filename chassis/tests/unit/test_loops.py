"""Background loops survive outages, stop when told, and let defects through."""

import asyncio

import pytest

from chassis import loops
from chassis.loops import Loop, backoff


async def test_a_loop_survives_an_outage_and_goes_on() -> None:
    stop = asyncio.Event()
    runs: list[int] = []

    async def work() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise ConnectionRefusedError("database")
        stop.set()

    await asyncio.wait_for(Loop("test", 0.01, work).run(stop), 5)
    assert len(runs) == 2


async def test_a_defect_ends_the_loop() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(Loop("test", 0.01, work).run(asyncio.Event()), 5)


async def test_a_hint_wakes_the_loop_before_its_interval() -> None:
    stop, wake, runs = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        runs.append(1)
        if len(runs) == 2:
            stop.set()
        else:
            asyncio.get_running_loop().call_soon(wake.set)

    await asyncio.wait_for(Loop("test", 3600, work, wake).run(stop), 5)
    assert len(runs) == 2


@pytest.mark.parametrize("wakes", [True, False])
async def test_an_outage_is_waited_out_where_a_hint_says_nothing_of_the_dependency(
    wakes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "backoff", lambda *_: 3600.0)
    stop, wake, runs = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        runs.append(1)
        if len(runs) == 2:
            raise ConnectionRefusedError("mongodb")
        if len(runs) == 3:
            stop.set()

    running = asyncio.create_task(Loop("test", 3600, work, wake, wakes_in_outage=wakes).run(stop))
    for _ in range(20):
        await asyncio.sleep(0)
        wake.set()
    assert len(runs) == (3 if wakes else 2)
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_more_to_do_runs_again_at_once() -> None:
    stop, runs = asyncio.Event(), []

    async def work() -> bool:
        runs.append(1)
        if len(runs) == 3:
            stop.set()
        return True

    await asyncio.wait_for(Loop("test", 3600, work).run(stop), 5)
    assert len(runs) == 3


def test_the_wait_doubles_up_to_its_cap_however_long_an_outage_lasts() -> None:
    waits = [backoff(failures, 0.5, 5) for failures in (1, 2, 3, 4, 5, 1_100, 10**9)]
    for wait, expected in zip(waits, (0.5, 1, 2, 4, 5, 5, 5), strict=True):
        assert expected * 0.8 <= wait <= expected * 1.2
