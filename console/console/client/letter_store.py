"""What was read of the dead letters and of the journal, and the reading on from there, within bounds."""

import time
from dataclasses import dataclass

from aiokafka import TopicPartition

from console.client.admin_api import NoAnswer
from console.client.kafka_records import KafkaRecords, Offsets
from console.client.letter_shelf import LetterShelf
from console.model.journal import TOPIC, Entry, Journal
from console.model.letters import Letter

JOURNAL = TopicPartition(TOPIC, 0)
# The longest time that a page waits for letters.
PAGE_S = 2.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is kept in memory, the bytes that one look reads, and the seconds that it reads and may take in all."""

    letters: int = 20_000
    entries: int = 100_000
    look_bytes: int = 64 * 1024 * 1024
    look_s: float = 1.0
    answer_s: float = PAGE_S


class MoreEntries(NoAnswer):
    """The journal has more entries than one look reads: Kafka answers, and the next look reads on."""


class LetterStore:
    """The letters and the journal, each up to where it was read."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._entries_read_to = 0
        self.begun_at = time.monotonic()
        self.shelf = LetterShelf(bounds.letters)
        self.journal = Journal()

    def end_with(self, offset: int) -> Offsets:
        """Return an end of the journal that is behind an entry, and not before what was read."""
        return {JOURNAL: max(offset + 1, self._entries_read_to)}

    async def read_journal(
        self, kafka: KafkaRecords, begins: Offsets, ends: Offsets, deadline: float | None = None
    ) -> None:
        """Read the entries up to `ends`. Raises MoreEntries when the deadline was before that."""
        end = ends.get(JOURNAL, 0)
        if end < self._entries_read_to:
            # The topic was made anew.
            self._entries_read_to, self.journal = 0, Journal()
        self._entries_read_to = max(self._entries_read_to, end - self._bounds.entries, begins.get(JOURNAL, 0))
        async for _, records, read_to in kafka.records({JOURNAL: self._entries_read_to}, {JOURNAL: end}, deadline):
            for record in records:
                if (entry := Entry.read(record.value)) is not None:
                    self.journal.add(record.offset, entry)
            self._entries_read_to = read_to
        if self._entries_read_to < end:
            raise MoreEntries(f"the journal has {end - self._entries_read_to} more entries to be read; try again")

    async def read_letters(self, kafka: KafkaRecords, begins: Offsets, ends: Offsets, deadline: float) -> bool:
        """Read letters up to `ends`, the deadline or the bytes of a look. Return whether all were read."""
        starts = self.shelf.starts({each: begin for each, begin in begins.items() if each != JOURNAL}, ends)
        read_bytes = 0
        async for partition, records, read_to in kafka.records(starts, ends, deadline):
            for record in records:
                letter = Letter.of(record)
                read_bytes += letter.value_bytes
                self.shelf.put(partition, letter)
            self.shelf.has_read(partition, read_to)
            if read_bytes > self._bounds.look_bytes:
                break
        self.shelf.tidy()
        return not self.shelf.is_behind(starts)
