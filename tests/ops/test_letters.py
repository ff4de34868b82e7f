"""What a replay sends, and when it is refused."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from chassis.errors import Invalid, NotYet
from chassis.events import Message
from chassis.kafka import consumed
from chassis.kafka.dead_letter import forms
from console.model import letters
from console.model.items import Item
from console.model.journal import Action, Entry
from console.model.letters import Letter, read_place, source_topic
from console.usecase.handle_letters import LetterCommand, carry_out

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILURE = {
    "x-reason": "not_yet",
    "x-error": "order 7 is not known",
    "x-source-topic": "payment.success",
    "x-source-partition": "3",
    "x-source-offset": "41",
    "x-handler": "orderfc.payment.success",
    "x-attempts": "12",
    "x-failed-at": "2026-01-01T00:00:00Z",
}


def letter(**headers: str) -> Letter:
    """Make a dead letter of payment.success with further or changed headers."""
    named = FAILURE | {name.replace("_", "-") if name.startswith("x") else name: text for name, text in headers.items()}
    raw = tuple((name, text.encode()) for name, text in named.items())
    return Letter("payment.success", 5, 2, NOW, b"order-7", b'{"order_id": 7}', raw)


def again(dead: Letter) -> dict[str, str]:
    """Return the headers of its replay; each must occur once."""
    made = dead.headers_again("ann", "order restored", NOW)
    assert len({name for name, _ in made}) == len(made)
    return {name: value.decode() for name, value in made}


def test_a_replay_carries_the_messages_own_headers_and_who_sends_it_why() -> None:
    own = {"ce_id": str(uuid4()), "ce_source": "paymentfc", "traceparent": "00-1-2-01"}
    assert again(letter(**own)) == own | {
        "x-replayed-at": "2026-01-02T03:04:05Z",
        "x-replayed-by": "ann",
        "x-replay-reason": "order restored",
        "x-replay-count": "1",
    }


def test_a_header_of_the_producer_that_begins_with_x_stays() -> None:
    assert again(letter(x_link_traceparent="00-3-4-01"))["x-link-traceparent"] == "00-3-4-01"


@pytest.mark.parametrize("ids", [{}, {"ce_id": ""}, {"ce_id": "17", "ce_source": "shop"}, {"ce_id": str(uuid4())}])
def test_a_consumer_knows_a_replay_by_the_same_id_as_the_message_at_its_first_place(ids: dict[str, str]) -> None:
    own = [(name, text.encode()) for name, text in ids.items()]
    first = Message.received("payment.success", 3, 41, b"order-7", b'{"order_id": 7}', own)
    replayed = Message.received(
        "payment.success", 0, 999, b"order-7", b"{}", letter(**ids).headers_again("ann", "why", NOW)
    )
    assert (replayed.event_id, replayed.identity) == (first.event_id, first.identity)


def test_a_replay_keeps_the_id_that_was_derived_at_the_first_place() -> None:
    first = Message.received("payment.success", 3, 41, b"order-7", b'{"order_id": 7}', (), 1_760_000_000_000)
    whole = next(forms(first, "not_yet", NotYet("order 7"), "orderfc.payment.success", 12))
    dead = Letter("payment.success", 0, 2, NOW, whole.key, whole.value, tuple(whole.headers))
    assert (dead.event_id, dead.identity) == (first.event_id, first.identity)
    headers = dead.headers_again("ann", "why", NOW)
    replayed = Message.received("payment.success", 1, 99, dead.key, dead.value, headers, 1_770_000_000_000)
    assert replayed.identity == first.identity
    assert not {name for name, _ in headers} & FAILURE.keys()


@pytest.mark.parametrize("smaller", [1, 2])
def test_a_letter_without_its_content_is_never_replayed(smaller: int) -> None:
    message = Message.received("payment.success", 3, 41, b"k" * 300, b"{", [("x-long", b"h" * 300)])
    form = list(forms(message, "handler_failed", ValueError("no"), "orderfc.payment.success", 5))[smaller]
    assert Letter("payment.success", 0, 2, NOW, form.key, form.value, tuple(form.headers)).content_is_gone
    assert letter(x_reason="unreadable_record").content_is_gone
    assert not letter(x_reason="handler_failed").content_is_gone


@pytest.mark.parametrize("force", [False, True])
async def test_a_letter_without_its_content_ends_no_replay_of_those_around_it(force: bool) -> None:
    sent: list[str] = []

    class Box:
        async def pick(self, _topic: str, _place: str) -> Item:
            return Item.of(letter())

        async def claim(self, _item: Item, _by: str, _why: str) -> None:
            """Nobody else is there."""

        async def send(self, dead: Letter, _headers: Any) -> None:
            sent.append(dead.topic)

        async def note(self, entry: Entry) -> int:
            sent.append(entry.action)
            return 0

    empty = letter(x_reason="handler_failed", x_value_sha256="0" * 64)
    items = [Item.of(dead) for dead in (letter(), empty, letter())]
    steps = [step async for step in carry_out(Box(), items, LetterCommand(Action.REPLAYED, "ann", "why", force))]
    assert [step.refusal is None for step in steps] == [True, False, True]
    assert sent == ["payment.success", Action.REPLAYED] * 2


def test_consumers_and_operators_know_a_replay_by_the_same_header() -> None:
    assert letters.REPLAYED_AT == consumed.REPLAYED_AT


def test_each_replay_is_counted_and_the_fourth_is_refused() -> None:
    assert again(letter(x_replay_count="2"))["x-replay-count"] == "3"
    assert letter(x_replay_count="2").refusal() is None
    assert "3 times" in (letter(x_replay_count="3").refusal() or "")


@pytest.mark.parametrize("reason", ["invalid_json", "invalid_payload", "null_value", "status_mismatch", "a_new_one"])
def test_what_is_wrong_with_the_message_itself_is_not_replayed(reason: str) -> None:
    assert reason in (letter(x_reason=reason).refusal() or "")


@pytest.mark.parametrize("reason", ["not_yet", "handler_failed"])
def test_what_time_or_a_repair_can_cure_is_replayed(reason: str) -> None:
    assert letter(x_reason=reason).refusal() is None


@pytest.mark.parametrize("text", ["", "1", "1:", ":2", "-1:2", "1:2:3", "a:b", "\u0661:2"])
def test_an_invalid_place_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="PARTITION:OFFSET"):
        read_place(text)


def test_a_topic_may_be_named_with_and_without_its_suffix() -> None:
    assert source_topic("payment.failed.dlq") == source_topic("payment.failed") == "payment.failed"
    with pytest.raises(Invalid, match=r"payments.*there are order\.created"):
        source_topic("payments")
