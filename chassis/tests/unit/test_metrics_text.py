"""The text of `/metrics` is made once for all that wait, in a bounded share of the time, and is never an old one."""

import asyncio
import time

import pytest

from chassis.http.metrics_text import MetricsText


async def test_those_that_wait_share_a_text_and_nobody_gets_one_begun_before() -> None:
    begun, go_on = 0, asyncio.Event()

    async def make(open_metrics: bool) -> bytes:
        nonlocal begun
        begun += 1
        number = begun
        await go_on.wait()
        return b"%d" % number

    text = MetricsText(make)
    first = asyncio.create_task(text())
    while not begun:
        await asyncio.sleep(0)
    later = [asyncio.create_task(text()) for _ in range(50)]
    await asyncio.sleep(0)
    go_on.set()
    assert (await first, set(await asyncio.gather(*later)), begun) == (b"1", {b"2"}, 2)


async def test_making_texts_takes_a_tenth_of_the_time_at_most() -> None:
    spent = 0.0

    async def make(open_metrics: bool) -> bytes:
        nonlocal spent
        began = time.monotonic()
        # The time that the loop stands still is the subject.
        time.sleep(0.005)
        spent += time.monotonic() - began
        return b""

    text = MetricsText(make)
    began = time.monotonic()
    for _ in range(8):
        await asyncio.gather(*(text() for _ in range(20)))
    # Behind the last text there is no pause yet.
    assert spent <= 0.13 * (time.monotonic() - began) + 0.01


async def test_a_failure_reaches_all_that_wait_and_the_next_text_is_made() -> None:
    fails = True

    async def make(open_metrics: bool) -> bytes:
        if fails:
            raise OSError("away")
        return b"text"

    text = MetricsText(make)
    ended = await asyncio.gather(text(), text(), return_exceptions=True)
    assert [str(error) for error in ended] == ["away", "away"]
    fails = False
    assert await text() == b"text"


async def test_a_cancelled_reader_does_not_cancel_the_others() -> None:
    async def make(open_metrics: bool) -> bytes:
        await asyncio.sleep(0)
        return b"text"

    text = MetricsText(make)
    gone, waiting = asyncio.create_task(text()), asyncio.create_task(text())
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await waiting == b"text"
