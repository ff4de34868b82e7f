"""Dead letters are read once, within bounds; of several who handle one, the first in the journal does it."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.client.admin_api import NoAnswer
from console.client.letter_box import LetterBox
from console.client.letter_store import Bounds
from console.model.items import Item
from console.model.journal import CLAIMED_FOR, TOPIC, Action, Entry, Journal
from console.usecase.handle_letters import LetterCommand, carry_out, plan

from .kafka import MemoryKafka

REPLAY = LetterCommand(Action.REPLAYED, "ann", "the order is restored")
DISCARD = LetterCommand(Action.DISCARDED, "ben", "a probe")


async def listed(kafka: MemoryKafka) -> tuple[LetterBox, list[Item]]:
    box = LetterBox(kafka, Bounds())
    return box, (await box.look()).items


async def done(box: LetterBox, items: list[Item], command: LetterCommand) -> list[str | None]:
    return [step.refusal async for step in carry_out(box, items, command)]


def sent(kafka: MemoryKafka, topic: str = "payment.success") -> list[bytes | None]:
    return [record.key for record in kafka.topics.get(topic, [])]


def journal(kafka: MemoryKafka) -> list[str]:
    return [json.loads(record.value)["action"] for record in kafka.topics[TOPIC]]


async def test_a_replay_goes_out_before_it_is_noted_and_after_it_is_claimed() -> None:
    kafka = MemoryKafka()
    kafka.letter(7)
    box, items = await listed(kafka)
    kafka.fails = {"send payment.success"}
    with pytest.raises(NoAnswer):
        await done(box, items, REPLAY)
    assert journal(kafka) == ["claimed"]
    kafka.fails, kafka.topics[TOPIC] = set(), []
    box, items = await listed(kafka)
    assert await done(box, items, REPLAY) == [None]
    assert (sent(kafka), journal(kafka)) == ([b"order-7"], ["claimed", "replayed"])


async def test_a_handled_letter_is_refused_with_by_whom_and_left_out_of_the_list() -> None:
    kafka = MemoryKafka()
    kafka.letter(7)
    box, items = await listed(kafka)
    await done(box, items, DISCARD)
    assert (await box.look()).items == []
    [seen] = (await box.look(handled=True)).items
    assert [step.refusal for step in plan([seen], REPLAY)] == ["discarded already by ben: a probe"]
    assert sent(kafka) == []
    assert await done(box, [seen], replace(REPLAY, force=True)) == [None]
    assert sent(kafka) == [b"order-7"]


@pytest.mark.parametrize("force", [False, True])
async def test_of_many_who_replay_one_letter_at_once_one_does(force: bool) -> None:
    kafka = MemoryKafka()
    kafka.letter(7)
    both = [await listed(kafka) for _ in range(5)]
    commands = [replace(REPLAY, by=f"person {number}", force=force) for number in range(5)]
    results = await asyncio.gather(
        *(done(box, items, command) for (box, items), command in zip(both, commands, strict=True))
    )
    refusals = [refusal for [refusal] in results if refusal]
    assert len(sent(kafka)) == 1
    assert len(refusals) == 4
    assert all("by person" in refusal or "is handling it" in refusal for refusal in refusals)


async def test_what_was_handled_since_it_was_listed_is_refused_also_by_force() -> None:
    kafka = MemoryKafka()
    kafka.letter(7)
    box, items = await listed(kafka)
    other, theirs = await listed(kafka)
    await done(other, theirs, DISCARD)
    assert await done(box, items, replace(REPLAY, force=True)) == ["discarded already by ben: a probe"]
    assert sent(kafka) == []


async def test_a_claim_of_somebody_who_has_died_holds_a_letter_for_a_minute() -> None:
    kafka = MemoryKafka()
    kafka.letter(7)
    _, [item] = await listed(kafka)
    claim = Entry.about(item.letter, Action.CLAIMED, "ben", datetime.now(UTC), "a probe")
    kafka.put(TOPIC, None, json.dumps(claim.as_json()).encode())
    box, items = await listed(kafka)
    assert [step.refusal for step in plan(items, REPLAY)] == ["ben is handling it: a probe"]
    old = replace(claim, at=claim.at - CLAIMED_FOR)
    kafka.topics[TOPIC] = []
    kafka.put(TOPIC, None, json.dumps(old.as_json()).encode())
    box, items = await listed(kafka)
    assert await done(box, items, REPLAY) == [None]


def test_the_first_claim_counts_until_it_is_over() -> None:
    found, at = Journal(), datetime(2026, 1, 2, tzinfo=UTC)
    entry = Entry("payment.success", "0:1", "e", 7, "not_yet", Action.CLAIMED, "ann", at, "why")
    found.add(4, entry)
    found.add(5, replace(entry, by="ben", at=at + timedelta(seconds=30)))
    assert found.claim(entry.key, at + timedelta(seconds=59)) == (4, entry)
    later = found.claim(entry.key, at + timedelta(seconds=61))
    assert later is not None
    assert later[1].by == "ben"
    found.add(6, replace(entry, action=Action.REPLAYED))
    assert found.claim(entry.key, at + timedelta(seconds=61)) is None


@pytest.mark.parametrize("value", [None, b"x", b"[]", b"{}", b"[" * 200_000])
def test_a_record_that_is_no_entry_is_passed_over(value: bytes | None) -> None:
    assert Entry.read(value) is None


async def test_a_letter_of_a_topic_that_was_made_anew_is_not_taken_for_the_one_that_was_listed() -> None:
    kafka = MemoryKafka()
    kafka.letter(7)
    box, items = await listed(kafka)
    kafka.topics["payment.success.dlq"] = []
    kafka.letter(8)
    assert await done(box, items, REPLAY) == ["another letter is at its place now"]
    assert sent(kafka) == []


async def test_only_what_is_new_is_read_again() -> None:
    kafka = MemoryKafka()
    for order in range(1, 6):
        kafka.letter(order)
    box, _ = await listed(kafka)
    kafka.letter(6)
    assert len((await box.look()).items) == 6
    assert kafka.reads == 6


async def test_of_too_many_letters_the_newest_are_kept_and_the_rest_is_counted() -> None:
    kafka = MemoryKafka()
    for order in range(1, 8):
        kafka.letter(order, "payment.success")
        kafka.letter(order, "payment.failed")
    box = LetterBox(kafka, Bounds(letters=5))
    contents = await box.look()
    assert (len(contents.items), contents.unread) == (5, 9)
    assert {item.letter.order_id for item in contents.items} <= {5, 6, 7}


async def test_large_letters_are_read_a_part_at_a_look_and_their_values_are_not_kept() -> None:
    kafka = MemoryKafka()
    for topic in ("payment.success", "payment.failed"):
        kafka.letter(1, topic, value=b"x" * 1000)
    box = LetterBox(kafka, Bounds(look_bytes=500))
    first = await box.look()
    assert (len(first.items), first.unread) == (1, 1)
    second = await box.look()
    assert (len(second.items), second.unread) == (2, 0)
    assert [(item.letter.value, item.letter.value_bytes) for item in second.items] == [(None, 1000)] * 2


async def test_ten_thousand_letters_are_listed_within_a_second() -> None:
    kafka = MemoryKafka()
    for order in range(1, 10_001):
        kafka.letter(order)
    began = time.process_time()
    _, items = await listed(kafka)
    assert len(items) == 10_000
    assert time.process_time() - began < 2
    box = LetterBox(kafka, Bounds())
    await box.look()
    began = time.process_time()
    await box.look()
    assert time.process_time() - began < 0.3


async def test_kafka_that_does_not_answer_is_named_in_time() -> None:
    kafka = MemoryKafka()

    async def never(*_topics: str) -> list[object]:
        await asyncio.sleep(60)
        return []

    kafka.partitions = never  # type: ignore[method-assign]
    with pytest.raises(NoAnswer, match=r"no answer in 0\.01 s"):
        await LetterBox(kafka, Bounds(answer_s=0.01)).look()
