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
from console.client.kafka_records import Headers, KafkaRecords
from console.client.letter_store import Bounds, LetterStore, MoreEntries
from console.model.items import Item
from console.model.journal import CONFIGS, TOPIC, Action, Entry, Journal
from console.model.keys import DEAD_LETTERS
from console.model.letters import Letter, read_place

# After this time everything is read again: a topic that was recreated may have as many records as the old one.
READ_AGAIN_S = 300.0
# How long an action waits for its turn and for what it asks Kafka. From a claim on it asks three times (to make the
# journal, to read it, to make it for the entry) and sends three times (the claim, the message, the entry), SEND_S each:
# together less than a claim lasts.
ACTION_S = 7.0

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

    def __init__(self, kafka: KafkaRecords, bounds: Bounds = UNBOUNDED) -> None:
        self._kafka = kafka
        self._bounds = bounds
        self._turn = asyncio.Lock()
        self._store = LetterStore(bounds)
        # What reads everything again, and takes the place of the store when it has caught up.
        self._again: LetterStore | None = None
        self._has_topic = False

    @property
    def journal(self) -> Journal:
        return self._store.journal

    async def run(self, stop: asyncio.Event) -> None:
        """Connect and read what there is before the first person looks."""
        with suppress(NoAnswer):
            await self.look()
        await stop.wait()

    async def close(self) -> None:
        await self._kafka.close()

    async def look(self, topics: Iterable[str] = DEAD_LETTERS.values(), *, handled: bool = False) -> Contents:
        """Return the letters of topics that are not handled; with `handled` all."""
        named = {dlq(topic) for topic in topics}
        async with self._asking(self._bounds.answer_s) as until:
            await self._catch_up(named, until - self._bounds.answer_s / 4)
        items = self._store.shelf.items(named, self.journal, datetime.now(UTC), handled=handled)
        return Contents(items, self._store.shelf.unread)

    async def pick(self, topic: str, place: str, seconds: float = ACTION_S) -> Item:
        """Return a letter with its value, within so many seconds. Raises NotFound when the topic does not hold it."""
        partition, offset = read_place(place)
        at = TopicPartition(dlq(topic), partition)
        async with self._asking(seconds):
            begins, ends = await self._kafka.bounds(await self._kafka.partitions(TOPIC, at.topic))
            record = await self._kafka.record(at, offset) if begins.get(at, 0) <= offset < ends.get(at, 0) else None
            if record is None:
                raise NotFound(f"{at.topic} holds no letter at {place}")
            await self._store.read_journal(self._kafka, begins, ends)
        return Item.of(Letter.of(record)).with_journal(self.journal, datetime.now(UTC))

    async def claim(self, item: Item, by: str, why: str) -> str | None:
        """Claim a letter in the journal. Return why not, if it was handled since `item` was read, or claimed before."""
        now = datetime.now(UTC)
        offset = await self.note(Entry.about(item.letter, Action.CLAIMED, by, now, why))
        async with self._asking(ACTION_S):
            await self._store.read_journal(self._kafka, {}, self._store.end_with(offset))
        entry = self.journal.handled.get(item.key)
        if entry is not None and entry != item.handled:
            return str(entry)
        first = self.journal.claim(item.key, now)
        if first is None:
            return "the journal does not hold what was written to it"
        return None if first[0] == offset else f"{first[1].by} is handling it: {first[1].why}"

    async def send(self, letter: Letter, headers: Headers) -> None:
        """Send the message of a letter to its topic. Raises Invalid when Kafka does not take this message."""
        await self._kafka.send(letter.topic, letter.key, letter.value, headers)

    async def note(self, entry: Entry) -> int:
        """Write an entry, wait until all replicas have it, and return its offset; the first one creates the topic."""
        if not self._has_topic:
            async with self._asking(ACTION_S):
                await self._kafka.make(TOPIC, dlq(entry.topic), CONFIGS)
        text = json.dumps(entry.as_json(), ensure_ascii=False).encode(errors="replace")
        try:
            offset = await self._kafka.send(TOPIC, f"{dlq(entry.topic)}/{entry.place}".encode(), text)
        except BaseException:
            self._has_topic = False
            raise
        self._has_topic = True
        return offset

    @asynccontextmanager
    async def _asking(self, seconds: float) -> AsyncIterator[float]:
        """Take a turn at reading, with its end in time.monotonic()."""
        until = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds), self._turn:
                # Who made the connection and had no time left keeps it for the next one.
                was_connected = self._kafka.is_connected
                try:
                    yield until
                except MoreEntries:
                    raise
                except (NoAnswer, asyncio.CancelledError) as error:
                    if was_connected or (isinstance(error, NoAnswer) and self._kafka.is_connected):
                        await self._kafka.disconnect()
                    raise
                finally:
                    self._kafka.rest()
        except TimeoutError:
            raise NoAnswer(f"no answer in {seconds:g} s") from None

    async def _catch_up(self, topics: set[str], latest: float) -> None:
        """Read what is new. The time for it begins when Kafka has said what there is, and ends at `latest`."""
        if self._again is None and time.monotonic() - self._store.begun_at > READ_AGAIN_S:
            self._again = LetterStore(self._bounds)
        asked = topics if self._again is None else topics.union(DEAD_LETTERS)
        begins, ends = await self._kafka.bounds(await self._kafka.partitions(TOPIC, *sorted(asked)))
        deadline = min(time.monotonic() + self._bounds.look_s, latest)
        await self._store.read_journal(self._kafka, begins, ends, deadline)
        await self._store.read_letters(self._kafka, begins, ends, deadline)
        if (again := self._again) is not None:
            with suppress(MoreEntries):
                await again.read_journal(self._kafka, begins, ends, deadline)
                if await again.read_letters(self._kafka, begins, ends, deadline):
                    self._store, self._again = again, None
