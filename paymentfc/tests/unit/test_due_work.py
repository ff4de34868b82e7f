"""A queue: how often it is looked for, and when its loop is woken."""

import asyncio

from paymentfc.due_work import Queue
from testkit import eventually


async def test_a_loop_is_woken_once_at_the_earliest_time() -> None:
    queue = Queue(60)
    queue.wake_in(30)
    queue.wake_in(0.01)
    queue.wake_in(40)
    assert not queue.wake.is_set()
    await eventually(queue.wake.is_set)
    queue.wake.clear()
    queue.wake_in(0.01)
    await eventually(queue.wake.is_set)


async def test_what_is_overdue_wakes_its_loop_at_once() -> None:
    queue = Queue(60)
    queue.looked(0.0, -5.0)
    await eventually(queue.wake.is_set)


async def test_what_is_due_after_the_next_look_wakes_nothing_yet() -> None:
    queue = Queue(0.02)
    queue.looked(0.0, 0.03)
    queue.looked(0.0, None)
    later = Queue(60)
    later.wake_in(0.06)
    await eventually(later.wake.is_set)
    assert not queue.wake.is_set()


async def test_a_queue_is_looked_for_no_later_than_its_interval_says() -> None:
    queue, now = Queue(5), asyncio.get_running_loop().time()
    assert queue.looks_by(now)
    queue.looked(now, None)
    assert not queue.looks_by(now + 4.9)
    assert queue.looks_by(now + 5.1)
