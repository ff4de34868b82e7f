"""How the handling of one letter ends: refused by Kafka, gone, sent without an entry, or too late for its claim."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chassis.errors import Invalid
from console.client.admin_api import NoAnswer
from console.client.kafka_clients import SEND_S
from console.client.kafka_records import Headers
from console.client.letter_box import ACTION_S
from console.model.journal import CLAIMED_FOR, TOPIC
from console.usecase import handle_letters
from console.usecase.handle_letters import SENT_WITHIN, LetterCommand, LetterStep, carry_out

from .kafka import MemoryKafka
from .test_letter_box import DISCARD, REPLAY, done, journal, listed, sent


async def test_a_letter_that_cannot_be_sent_or_is_gone_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = MemoryKafka()
    for order in (1, 2, 3):
        kafka.letter(order)
    box, items = await listed(kafka)
    gone = replace(items[0], letter=replace(items[0].letter, offset=99))
    send = kafka.send

    async def refusing(topic: str, key: bytes | None, *rest: Any) -> int:
        if (topic, key) == ("payment.success", b"order-2"):
            raise Invalid("Kafka refuses it: too large")
        return await send(topic, key, *rest)

    monkeypatch.setattr(kafka, "send", refusing)
    refusals = await done(box, [gone, *items], REPLAY)
    assert refusals == ["payment.success.dlq holds no letter at 0:99", None, "Kafka refuses it: too large", None]
    assert sent(kafka) == [b"order-1", b"order-3"]


async def test_a_letter_that_was_sent_and_not_noted_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = MemoryKafka()
    kafka.letter(7)
    box, items = await listed(kafka)
    send = kafka.send

    async def once(topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
        if topic == "payment.success":
            kafka.fails = {f"send {TOPIC}"}
            return kafka.put(topic, key, value, headers)
        return await send(topic, key, value, headers)

    monkeypatch.setattr(kafka, "send", once)
    steps: list[LetterStep] = []
    with pytest.raises(NoAnswer, match=r"payment\.success 0:0 was sent, but the journal does not say so"):
        steps += [step async for step in carry_out(box, items, REPLAY)]
    assert (steps, sent(kafka)) == ([], [b"order-7"])


@pytest.mark.parametrize("command", [REPLAY, DISCARD])
async def test_who_got_the_claim_too_late_does_nothing(command: LetterCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = MemoryKafka()
    kafka.letter(7)
    box, items = await listed(kafka)
    monkeypatch.setattr(handle_letters, "SENT_WITHIN", timedelta(0))
    [refusal] = await done(box, items, command)
    assert "the claim could have ended" in (refusal or "")
    assert (sent(kafka), journal(kafka)) == ([], ["claimed"])


def test_a_claim_outlasts_all_that_follows_it() -> None:
    claim, message, entry = 2 * ACTION_S + SEND_S, SEND_S, ACTION_S + SEND_S
    assert claim < SENT_WITHIN.total_seconds()
    assert SENT_WITHIN.total_seconds() + message + entry <= CLAIMED_FOR.total_seconds()
