"""The dead letters that were read, by partition and offset: a bounded number of the newest, without their values."""

from collections.abc import Collection, Iterable
from datetime import datetime

from aiokafka import TopicPartition

from console.client.kafka_records import Offsets
from console.model.items import Item
from console.model.journal import Journal
from console.model.letters import Letter


class LetterShelf:
    """Keeps at most `limit` letters, and knows up to where each partition was read."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: dict[TopicPartition, dict[int, Item]] = {}
        self._read_to: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._left_out = 0

    @property
    def unread(self) -> int:
        """How many letters there are that it does not have."""
        return self._left_out + sum(max(end - self._read_to[partition], 0) for partition, end in self._ends.items())

    def is_behind(self, partitions: Iterable[TopicPartition]) -> bool:
        """Whether some of the partitions have letters that are still to be read."""
        return any(self._read_to[partition] < self._ends[partition] for partition in partitions)

    def starts(self, begins: Offsets, ends: Offsets) -> dict[TopicPartition, int]:
        """Return where to read on in each partition, and forget what is deleted."""
        for partition, begin in begins.items():
            end, read_to = ends[partition], self._read_to.get(partition)
            if read_to is None or read_to > end:
                # It is new, or was made anew.
                read_to = max(begin, end - self._limit)
                self._left_out += read_to - begin
                self._items[partition] = {}
            for offset in [offset for offset in self._items[partition] if offset < begin]:
                del self._items[partition][offset]
            self._read_to[partition], self._ends[partition] = max(read_to, begin), end
        return {partition: self._read_to[partition] for partition in begins}

    def put(self, partition: TopicPartition, letter: Letter) -> None:
        self._items[partition][letter.offset] = Item.of(letter.listed())

    def has_read(self, partition: TopicPartition, read_to: int) -> None:
        self._read_to[partition] = read_to

    def tidy(self) -> None:
        """Drop the oldest letters beyond the limit."""
        count = sum(len(items) for items in self._items.values())
        if count <= self._limit:
            return
        oldest = sorted(
            (item.letter.time, partition, offset)
            for partition, items in self._items.items()
            for offset, item in items.items()
        )
        for _, partition, offset in oldest[: count - self._limit]:
            del self._items[partition][offset]
        self._left_out += count - self._limit

    def items(self, topics: Collection[str], journal: Journal, now: datetime, *, handled: bool) -> list[Item]:
        """Return the letters on dead letter topics, oldest first; those that are handled only with `handled`."""
        found = [
            item.with_journal(journal, now)
            for partition, items in self._items.items()
            if partition.topic in topics
            for item in items.values()
        ]
        shown = found if handled else [item for item in found if item.handled is None]
        return sorted(shown, key=lambda item: item.letter.time)
