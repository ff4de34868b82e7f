"""Events out and messages in: headers, ids and what is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID, uuid5

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from pydantic import AliasChoices, BaseModel, Field

from chassis.errors import InvalidMessage
from chassis.events import Event, Message, identity, parse, wire_headers
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
    def received(offset: int = 17, key: bytes | None = b"k", value: bytes | None = b"{}", timestamp: int = 1) -> UUID:
        return Message.received("order.created", 3, offset, key, value, (), timestamp).identity

    assert received() == received()
    others = {
        received(offset=18),
        received(key=None),
        received(key=b""),
        received(value=b"[]"),
        received(value=None),
        received(timestamp=2),
    }
    assert len(others | {received()}) == 7, "a topic that is made anew gives the same offsets again"


def test_a_header_without_a_value_is_an_empty_one() -> None:
    received = Message.received("order.created", 0, 1, None, b"{}", [("X-Empty", None), ("ce_id", b"1")])
    assert received.headers == {"x-empty": "", "ce_id": "1"}
    assert received.raw_headers == (("X-Empty", b""), ("ce_id", b"1"))


def test_a_message_keeps_the_id_that_its_producer_gave() -> None:
    given = uuid7()
    assert message(b"{}", (("ce_id", str(given).encode()),)).event_id == str(given)


@pytest.mark.parametrize("given", [b"17", b"0190f3a2-0000-7000-8000-000000000001"])
def test_an_id_identifies_the_event_within_its_topic_and_source_wherever_it_is_redelivered(given: bytes) -> None:
    def received(topic: str, source: bytes, event_id: bytes, offset: int = 1) -> UUID:
        return Message.received(topic, 0, offset, b"k", b"{}", (("ce_id", event_id), ("ce_source", source))).identity

    first = received("payment.success", b"a", given)
    assert received("payment.success", b"a", given, offset=9) == first
    assert identity("a", "payment.success", given.decode()) == first
    others = {
        received("payment.failed", b"a", given),
        received("payment.success", b"b", given),
        received("payment.success", b"a", given + b"1"),
        received("payment.success", b"", given),
        Message.received("payment.success", 0, 1, b"k", b"{}").identity,
    }
    assert len(others | {first}) == 6


def test_an_identity_is_that_of_earlier_versions_which_the_inbox_holds() -> None:
    namespace = UUID("2e1b7f39-6a54-4c1f-8f0c-d5b8f2a7c963")
    assert identity("a'", "t", "17") == uuid5(namespace, repr(("a'", "t", "17")))


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


class Line(BaseModel):
    """A line whose quantity has two names."""

    quantity: Annotated[int, Field(strict=True, ge=1, validation_alias=AliasChoices("quantity", "qty"))]


class Lines(BaseModel):
    """An event with optional parts."""

    order_id: int
    amount: Decimal = Decimal(7)
    note: str = "none"
    lines: list[Line] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"order_id": 1, "lines": null, "note": null, "amount": null}', Lines(order_id=1)),
        (b'{"order_id": 1, "note": "null"}', Lines(order_id=1, note="null")),
        (b'{"order_id": 1, "lines": [{"quantity": null, "qty": 3}]}', Lines(order_id=1, lines=[Line(quantity=3)])),
        (
            b'{"order_id": 1, "amount": 9999999999.123456789012345678, "note": null}',
            Lines(order_id=1, amount=Decimal("9999999999.123456789012345678")),
        ),
    ],
)
def test_a_field_that_is_null_is_absent(value: bytes, expected: Lines) -> None:
    read = parse(message(value), Lines)
    assert read.model_dump(exclude={"amount"}) == expected.model_dump(exclude={"amount"})
    assert float(read.amount) == float(expected.amount)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"order_id": null}', "invalid_payload"),
        (b"null", "invalid_payload"),
        (b'{"order_id": 1, "lines": [null]}', "invalid_payload"),
        (b'{"order_id": 1, "lines": null', "invalid_json"),
        (b'{"order_id": NaN, "lines": null}', "invalid_json"),
        (b'{"lines": null, "order_id": ' + b"[" * 5000, "invalid_json"),
        (b'{"lines": null, "note": "\\ud800"}', "invalid_json"),
        (b'{"lines": null, "order_id": 1' + b"0" * 5000 + b"}", "invalid_json"),
        ('{"lines": null, "order_id": 1}'.encode("utf-16"), "invalid_json"),
    ],
)
def test_what_can_not_be_applied_is_refused_with_nulls_as_without(value: bytes, reason: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        parse(message(value), Lines)
    assert refused.value.reason == reason
