"""Messages of one key wait behind each other; those of other keys do not."""

import pytest

from chassis.events import Message
from chassis.kafka.key_queues import KeyQueues
from chassis.kafka.retry import Attempt


def attempt(offset: int, key: str, due: float = 0.0) -> Attempt:
    return Attempt(Message.received("topic", 0, offset, key.encode(), b"{}"), due=due)


def test_a_message_that_is_due_waits_behind_the_first_one_of_its_key() -> None:
    queues, first, second = KeyQueues(), attempt(1, "a", due=50), attempt(2, "a")
    queues.add(first)
    queues.add(second)
    assert queues.first_due("a", 49) is None
    assert queues.first_due("a", 50) is first
    queues.remove_first("a")
    assert queues.first_due("a", 50) is second


def test_a_key_stops_waiting_with_its_last_message() -> None:
    queues = KeyQueues()
    queues.add(attempt(1, "a"))
    queues.add(attempt(2, "b"))
    assert ("a" in queues, queues.waiting_keys()) == (True, ["a", "b"])
    queues.remove_first("a")
    assert ("a" in queues, queues.waiting_keys(), bool(queues)) == (False, ["b"], True)
    queues.remove_first("b")
    assert not queues


def test_the_next_due_time_is_that_of_the_earliest_first_message() -> None:
    queues = KeyQueues()
    with pytest.raises(ValueError, match="empty"):
        queues.next_due()
    queues.add(attempt(1, "a", due=50))
    queues.add(attempt(2, "a", due=10))
    queues.add(attempt(3, "b", due=40))
    assert queues.next_due() == 40
