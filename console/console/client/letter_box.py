"""The dead letters and the journal as this process knows them: read once, and from then on only what is new."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import TopicPartition

from chassis.errors import NotFound
from chassis.kafka.topic_settings import dlq
from console.client.admin_api import NoAnswer
from console.client.letter_shelf import LetterShelf
from console.client.log import Headers, Log, Offsets
from console.model.items import Item
from console.model.journal import CONFIGS, TOPIC, Action, Entry, Journal
from console.model.keys import DEAD_LETTERS
from console.model.letters import Letter, read_place

# After this time everything is read again: a topic that was recreated may have as many records as the old one.
READ_AGAIN_S = 300.0
# An action may wait so long for its turn and for the journal; with a send and an entry, each as long as Kafka may take,
# that is less than a claim lasts.
ACTION_S = 20.0
JOURNAL = TopicPartition(TOPIC, 0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is kept in memory, the bytes that one look reads, and the seconds that it reads and may take in all."""

    letters: int = 20_000
    entries: int = 100_000
    look_bytes: int = 64 * 1024 * 1024
    look_s: float = 1.0
    answer_s: float = 2.0


UNBOUNDED = Bounds(10**12, 10**12, 10**15, 3600.0, 3600.0)
"""For a command, which reads everything once."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The letters, oldest first; `unread` is how many more there are."""

    items: list[Item]
    unread: int


class LetterBox:
    """Reads letters and journal, and writes replays and entries: a part of the process, whose users take turns.

    Every method raises NoAnswer when Kafka fails or is too slow.
    """

    name = "letters"

    def __init__(self, log: Log, bounds: Bounds = UNBOUNDED) -> None:
        self._log = log
        self._bounds = bounds
        self._turn = asyncio.Lock()
        self._forget()

    def _forget(self) -> None:
        self._since = time.monotonic()
        self._shelf = LetterShelf(self._bounds.letters)
        self._entries_read_to = 0
        self.journal = Journal()

    async def run(self, stop: asyncio.Event) -> None:
        """Connect and read what there is before the first person looks."""
        with suppress(NoAnswer):
            await self.look()
        await stop.wait()

    async def close(self) -> None:
        await self._log.close()

    async def look(self, topics: Iterable[str] = DEAD_LETTERS.values(), *, handled: bool = False) -> Contents:
        """Return the letters of topics that are not handled; with `handled` all."""
        named = {dlq(topic) for topic in topics}
        async with self._asking(self._bounds.answer_s):
            await self._catch_up(sorted(named))
        items = self._shelf.items(named, self.journal, datetime.now(UTC), handled=handled)
        return Contents(items, self._shelf.unread)

    async def pick(self, topic: str, place: str) -> Item:
        """Return a letter with its value. Raises NotFound when the topic does not hold it."""
        async with self._asking(ACTION_S):
            record = await self._log.record(dlq(topic), *read_place(place))
            if record is None:
                raise NotFound(f"{dlq(topic)} holds no letter at {place}")
            await self._read_journal(await self._log.ends(TOPIC))
        return Item.of(Letter.of(record)).with_journal(self.journal, datetime.now(UTC))

    async def claim(self, item: Item, by: str, why: str) -> str | None:
        """Claim a letter in the journal. Return why not, if it was handled since `item` was read, or claimed before."""
        now = datetime.now(UTC)
        offset = await self.note(Entry.about(item.letter, Action.CLAIMED, by, now, why))
        async with self._asking(ACTION_S):
            await self._read_journal({JOURNAL: max(offset + 1, self._entries_read_to)})
        entry = self.journal.handled.get(item.key)
        if entry is not None and entry != item.handled:
            return str(entry)
        first = self.journal.claim(item.key, now)
        if first is None:
            return "the journal does not hold what was written to it"
        return None if first[0] == offset else f"{first[1].by} is handling it: {first[1].why}"

    async def send(self, letter: Letter, headers: Headers) -> None:
        """Send the message of a letter to its topic."""
        await self._log.send(letter.topic, letter.key, letter.value, headers)

    async def note(self, entry: Entry) -> int:
        """Write an entry, wait until all replicas have it, and return its offset; the first one creates the topic."""
        async with self._asking(ACTION_S):
            await self._log.make(TOPIC, dlq(entry.topic), CONFIGS)
        text = json.dumps(entry.as_json(), ensure_ascii=False).encode(errors="replace")
        return await self._log.send(TOPIC, f"{dlq(entry.topic)}/{entry.place}".encode(), text)

    @asynccontextmanager
    async def _asking(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds), self._turn:
                try:
                    yield
                except (NoAnswer, asyncio.CancelledError):
                    if self._log.is_connected:
                        await self._log.disconnect()
                    raise
        except TimeoutError:
            raise NoAnswer(f"no answer in {seconds:g} s") from None

    async def _catch_up(self, topics: list[str]) -> None:
        if time.monotonic() - self._since > READ_AGAIN_S:
            self._forget()
        deadline = time.monotonic() + self._bounds.look_s
        begins, ends = await self._log.bounds(await self._log.partitions(TOPIC, *topics))
        await self._read_journal(ends, deadline)
        starts = self._shelf.starts({each: begin for each, begin in begins.items() if each.topic != TOPIC}, ends)
        read_bytes = 0
        async for partition, records, read_to in self._log.records(starts, ends, deadline):
            for record in records:
                letter = Letter.of(record)
                read_bytes += letter.value_bytes
                self._shelf.put(partition, letter)
            self._shelf.has_read(partition, read_to)
            if read_bytes > self._bounds.look_bytes:
                break
        self._shelf.tidy()

    async def _read_journal(self, ends: Offsets, deadline: float | None = None) -> None:
        end = ends.get(JOURNAL, 0)
        if end < self._entries_read_to:
            # The topic was made anew.
            self._forget()
        start = max(self._entries_read_to, end - self._bounds.entries)
        begins = (await self._log.bounds([JOURNAL]))[0] if start < end else {}
        async for _, records, read_to in self._log.records(
            {JOURNAL: max(start, begins.get(JOURNAL, 0))}, {JOURNAL: end}, deadline
        ):
            for record in records:
                if (entry := Entry.read(record.value)) is not None:
                    self.journal.add(record.offset, entry)
            self._entries_read_to = read_to
        if self._entries_read_to < end:
            raise NoAnswer(f"the journal has {end - self._entries_read_to} more entries to be read; try again")
