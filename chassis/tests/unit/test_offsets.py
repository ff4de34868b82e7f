"""The offset that may be committed: always below the oldest message that is still open."""

from typing import Any

from aiokafka import TopicPartition

from chassis.kafka.offsets import OffsetWindow

PARTITION = TopicPartition("stock.updated", 0)


class Commits:
    """Keeps the offsets that were committed."""

    def __init__(self) -> None:
        self.offsets: list[int] = []

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.offsets.append(offsets[PARTITION])


def window(consumer: Any = None) -> OffsetWindow:
    return OffsetWindow(consumer, PARTITION)


def test_there_is_nothing_to_commit_before_the_first_message_is_done() -> None:
    offsets = window()
    assert offsets.position() is None
    offsets.open(7)
    assert offsets.position() == offsets.committed == 7


def test_the_offset_stays_below_the_oldest_open_message_and_then_moves_past_all_that_are_done() -> None:
    offsets = window()
    for offset in (7, 8, 9, 10):
        offsets.open(offset)
    for offset in (7, 9):
        offsets.finish(offset)
    assert offsets.position() == 8
    offsets.finish(8)
    assert offsets.position() == 10


def test_an_offset_that_the_log_has_skipped_is_no_gap() -> None:
    offsets = window()
    for offset in (7, 12):
        offsets.open(offset)
        offsets.finish(offset)
    assert offsets.position() == 13


def test_a_message_that_waits_long_costs_no_memory_for_those_that_are_done_behind_it() -> None:
    offsets = window()
    offsets.open(0)
    for offset in range(1, 100_000):
        offsets.open(offset)
        offsets.finish(offset)
    assert (offsets.position(), len(offsets._open)) == (0, 1)
    offsets.finish(0)
    assert offsets.position() == 100_000


async def test_an_offset_is_committed_once() -> None:
    consumer = Commits()
    offsets = window(consumer)
    for offset in (7, 8):
        offsets.open(offset)
        offsets.finish(offset)
        await offsets.commit()
        await offsets.commit()
    assert consumer.offsets == [8, 9]
