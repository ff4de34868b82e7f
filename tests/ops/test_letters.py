"""What a replay sends, and when it is refused."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from chassis.events import Message
from fc.ops.letters import Letter, read_place, source_topic
from fc.stack.errors import StackError

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
    first = Message.received("payment.success", 3, 41, b"order-7", b"{}", own)
    replayed = Message.received(
        "payment.success", 0, 999, b"order-7", b"{}", letter(**ids).headers_again("ann", "why", NOW)
    )
    assert replayed.event_id == first.event_id


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
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="PARTITION:OFFSET"):
        read_place(text)


def test_a_topic_may_be_named_with_and_without_its_suffix() -> None:
    assert source_topic("payment.failed.dlq") == source_topic("payment.failed") == "payment.failed"
    with pytest.raises(StackError, match=r"payments.*there are order\.created"):
        source_topic("payments")
