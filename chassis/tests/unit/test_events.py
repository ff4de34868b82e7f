"""Events out and messages in: headers, ids and what is refused."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from pydantic import BaseModel

from chassis.errors import InvalidMessage
from chassis.events import Event, Message, parse, wire_headers
from chassis.ids import uuid7


class Payload(BaseModel):
    """A payload with one number."""

    order_id: int


def message(value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> Message:
    return Message.received("order.created", 3, 17, b"order-1", value, headers)


def test_the_headers_are_read_by_the_cloudevents_sdk() -> None:
    event = Event.of("order.created", "order-1", Payload(order_id=1))
    headers = wire_headers("orderfc", event.event_id, event.topic, datetime(2026, 1, 2, tzinfo=UTC), {})
    encoded = {name: value.encode() for name, value in headers.items()}
    read = from_binary_event(KafkaMessage(encoded, b"order-1", event.payload.encode()))
    assert (read.get_id(), read.get_type(), read.get_source()) == (str(event.event_id), "order.created", "orderfc")
    assert read.get_time() == datetime(2026, 1, 2, tzinfo=UTC)


def test_event_ids_are_version_7_and_ascend_with_time() -> None:
    first, later = uuid7(), uuid7()
    assert (first.version, first.variant) == (7, UUID(int=0x8000 << 48).variant)
    assert first.int >> 80 <= later.int >> 80


def test_a_message_without_headers_gets_an_id_from_its_place_that_a_redelivery_shares() -> None:
    assert message(b"{}").event_id == message(b"{}").event_id
    assert message(b"{}").event_id != Message.received("order.created", 3, 18, None, b"{}").event_id


def test_a_message_keeps_the_id_that_its_producer_gave() -> None:
    given = uuid7()
    assert message(b"{}", (("ce_id", str(given).encode()),)).event_id == given


def test_an_id_that_is_no_uuid_identifies_the_event_within_its_topic_and_source_wherever_it_is_redelivered() -> None:
    def received(topic: str, source: bytes, event_id: bytes, offset: int = 1) -> UUID:
        return Message.received(topic, 0, offset, b"k", b"{}", (("ce_id", event_id), ("ce_source", source))).event_id

    first = received("payment.success", b"a", b"17")
    assert received("payment.success", b"a", b"17", offset=9) == first
    others = {
        received("payment.failed", b"a", b"17"),
        received("payment.success", b"b", b"17"),
        received("payment.success", b"a", b"18"),
        received("payment.success", b"", b"17"),
        Message.received("payment.success", 0, 1, b"k", b"{}").event_id,
    }
    assert len(others | {first}) == 6


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null_value"),
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[]", "invalid_payload"),
        (b'{"order_id": "x"}', "invalid_payload"),
        (b"{}", "invalid_payload"),
    ],
)
def test_what_can_never_be_applied_is_refused_with_a_stable_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        parse(message(value), Payload)
    assert refused.value.reason == reason


def test_unknown_fields_are_ignored() -> None:
    assert parse(message(b'{"order_id": 1, "more": true}'), Payload).order_id == 1


def test_an_event_can_be_put_into_an_earlier_trace_and_links_to_its_cause() -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    assert (
        Event.of("payment.success", "order-1", Payload(order_id=1), traceparent=trace).headers["traceparent"] == trace
    )
