"""A look goes on where the one before it ended, and what is known stays while everything is read again."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition

from console.client.admin_api import NoAnswer
from console.client.kafka_records import Offsets
from console.client.letter_box import READ_AGAIN_S, LetterBox
from console.client.letter_store import Bounds
from console.model.journal import TOPIC, Action, Entry

from .kafka import MemoryKafka
from .test_letter_box import listed


class ConnectedLog(MemoryKafka):
    """A Kafka whose connection is there; its ends and rests are counted."""

    ended = 0
    rested = 0

    @property
    def is_connected(self) -> bool:
        return True

    async def disconnect(self) -> None:
        self.ended += 1

    def rest(self) -> None:
        self.rested += 1


def entries(kafka: MemoryKafka, count: int) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    for number in range(count):
        entry = Entry("payment.success", f"1:{number}", "e", 7, "not_yet", Action.DISCARDED, "ann", at, "why")
        kafka.put(TOPIC, None, json.dumps(entry.as_json()).encode())


async def test_a_journal_that_is_longer_than_a_look_is_read_over_several_and_the_connection_stays() -> None:
    kafka = ConnectedLog(batch=2)
    entries(kafka, 5)
    kafka.letter(7)
    box = LetterBox(kafka, Bounds(look_s=0))
    for left in (3, 1):
        with pytest.raises(NoAnswer, match=f"{left} more entries"):
            await box.look()
    assert len((await box.look()).items) == 1
    assert (len(box.journal), kafka.ended) == (5, 0)
    kafka.fails = {"partitions"}
    with pytest.raises(NoAnswer):
        await box.look()
    assert (kafka.ended, kafka.rested) == (1, 4)


async def test_the_time_for_reading_begins_when_kafka_has_said_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = MemoryKafka(batch=1)
    for order in range(1, 4):
        kafka.letter(order)
    bounds = kafka.bounds

    async def slow(partitions: list[TopicPartition]) -> tuple[Offsets, Offsets]:
        await asyncio.sleep(0.3)
        return await bounds(partitions)

    monkeypatch.setattr(kafka, "bounds", slow)
    assert (await LetterBox(kafka, Bounds(look_s=0.25)).look()).unread == 0


async def test_who_makes_the_connection_and_has_no_time_left_leaves_it_to_the_next() -> None:
    class Cold(ConnectedLog):
        connected = False

        @property
        def is_connected(self) -> bool:
            return self.connected

        async def partitions(self, *topics: str) -> list[TopicPartition]:
            self.connected = True
            await asyncio.Event().wait()
            return await super().partitions(*topics)

    kafka = Cold()
    box = LetterBox(kafka, Bounds(answer_s=0.01))
    for ended in (0, 1):
        with pytest.raises(NoAnswer):
            await box.look()
        assert kafka.ended == ended


async def test_while_everything_is_read_again_what_is_known_stays() -> None:
    kafka = MemoryKafka(batch=1)
    for order in range(1, 4):
        kafka.letter(order)
    entries(kafka, 3)
    box, _ = await listed(kafka)
    # Made anew, with as many letters as before.
    kafka.topics["payment.success.dlq"] = []
    for order in range(11, 14):
        kafka.letter(order)
    box._bounds = Bounds(look_s=0)
    box._store.begun_at -= READ_AGAIN_S + 1
    seen = []
    for _ in range(7):
        contents = await box.look(["payment.failed", "payment.success"])
        seen.append([item.letter.order_id for item in contents.items])
        assert (contents.unread, len(box.journal)) == (0, 3)
    assert seen == [[1, 2, 3]] * 4 + [[11, 12, 13]] * 3


async def test_a_letter_is_picked_within_the_time_of_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = MemoryKafka()
    kafka.letter(7)

    async def never(*_topics: str) -> list[TopicPartition]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(kafka, "partitions", never)
    with pytest.raises(NoAnswer, match=r"no answer in 0\.01 s"):
        await LetterBox(kafka).pick("payment.success", "0:0", 0.01)
