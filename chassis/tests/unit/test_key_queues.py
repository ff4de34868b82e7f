"""Messages of one key wait behind each other; those of other keys do not, and those without a key wait alone."""

from math import inf
from typing import Any

import pytest

from chassis.events import Message
from chassis.kafka.key_queues import OVERHEAD_BYTES, KeyQueues
from chassis.kafka.retry import Attempt

NO_OFFSETS: Any = None


def attempt(offset: int, key: str | None, due: float = 0.0) -> Attempt:
    message = Message.received("topic", 0, offset, key.encode() if key is not None else None, b"{}")
    return Attempt(message, NO_OFFSETS, due=due)


def test_a_message_that_is_due_waits_behind_the_first_one_of_its_key() -> None:
    queues, first, second = KeyQueues(), attempt(1, "a", due=50), attempt(2, "a")
    queues.add(first)
    queues.add(second)
    assert queues.take_due(49) is None
    assert queues.take_due(50) is first
    assert queues.take_due(50) is None, "it is being tried"
    queues.remove(first)
    assert queues.take_due(50) is second


def test_a_message_that_must_be_tried_again_keeps_its_place() -> None:
    queues, first = KeyQueues(), attempt(1, "a")
    queues.add(first)
    queues.add(attempt(2, "a"))
    assert queues.take_due(0) is first
    first.due = 10
    queues.put_back(first)
    assert (queues.take_due(9), queues.take_due(10)) == (None, first)


def test_a_key_stops_waiting_with_its_last_message() -> None:
    queues, first, second = KeyQueues(), attempt(1, "a"), attempt(2, "b")
    queues.add(first)
    queues.add(second)
    assert (queues.holds_back(attempt(3, "a")), queues.size_bytes) == (True, 2 * (OVERHEAD_BYTES + 3))
    assert queues.take_due(0) is first
    queues.remove(first)
    assert (queues.holds_back(attempt(3, "a")), bool(queues)) == (False, True)
    assert queues.take_due(0) is second
    queues.remove(second)
    assert (bool(queues), queues.size_bytes) == (False, 0)


@pytest.mark.parametrize("key", [None, ""])
def test_messages_without_a_key_do_not_wait_for_each_other(key: str | None) -> None:
    queues, first, second = KeyQueues(), attempt(1, key, due=50), attempt(2, key)
    queues.add(first)
    assert not queues.holds_back(second)
    queues.add(second)
    assert queues.take_due(0) is second


def test_the_next_due_time_is_that_of_the_earliest_first_message() -> None:
    queues = KeyQueues()
    assert queues.due_in_s(0) == inf
    queues.add(attempt(1, "a", due=50))
    queues.add(attempt(2, "a", due=10))
    queues.add(attempt(3, "b", due=40))
    assert (queues.due_in_s(10), queues.due_in_s(41), queues.count) == (30, 0, 3)
