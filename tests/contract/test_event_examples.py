"""The golden examples, for producers and consumers, the Go services and the CloudEvents SDK included."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from time import perf_counter
from types import ModuleType
from typing import Any, cast
from uuid import uuid4

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent

import orderfc.handler.kafka
import paymentfc.handler.kafka
import productfc.handler.kafka
from chassis.errors import InvalidMessage
from chassis.events import Event, Message, parse, wire_headers
from chassis.ids import uuid7
from chassis.kafka.consumer import BatchHandler
from contracts.files import ROOT, golden
from contracts.topics import READERS, TOPICS, Reader, Topic
from orderfc.events import PaymentResult
from orderfc.usecase.apply_payment_result import apply_payment_result

NOTHING = cast("Any", None)
GOLDEN = golden(ROOT)
HERE = [reader for reader in READERS if not reader.in_go]
STOCK_FROM_GO = (
    b'{"order_id":1001,"products":[{"product_id":1,"qty":2}],"event_time":"2026-11-24T11:00:00.123456789+07:00"}'
)
# What the services of the Go system publish: without headers, `qty` for `quantity`, amounts as float64.
FROM_GO = {
    "order.created": b'{"order_id":1001,"user_id":7,"total_amount":450000.5,"payment_method":"","shipping_address":""}',
    "stock.updated": STOCK_FROM_GO,
    "stock.rollback": STOCK_FROM_GO,
    "payment.success": b'{"order_id":1001,"status":"PAID","topic":"payment.success"}',
    "payment.failed": b'{"order_id":1001,"status":"EXPIRED","topic":"payment.failed"}',
    # The Go system has none of these; this is the least that counts as one.
    "stock.rejected": b'{"order_id":1001}',
    "order.cancelled": b'{"order_id":1001}',
}

topics = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
readers = pytest.mark.parametrize("reader", READERS, ids=lambda reader: f"{reader.topic}-{reader.name}")
readers_here = pytest.mark.parametrize("reader", HERE, ids=lambda reader: f"{reader.topic}-{reader.name}")


def message(topic: str, value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Message:
    return Message.received(topic, 3, 17, b"order-1001", value, headers)


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def same_where_read(read: Any, example: Any) -> bool:
    """Whether the example has everything that was read, with the same value."""
    if isinstance(read, dict):
        return all(name in example and same_where_read(part, example[name]) for name, part in read.items())
    if isinstance(read, list):
        return len(read) == len(example) and all(map(same_where_read, read, example))
    return bool(read == example)


def test_each_topic_has_one_golden_example_and_one_schema() -> None:
    files = {path.name for path in (ROOT / "protos" / "events").iterdir()}
    assert files == {f"{topic.name}{ending}" for topic in TOPICS for ending in (".json", ".schema.json")}


@topics
def test_a_producer_publishes_exactly_what_the_golden_example_shows(topic: Topic) -> None:
    example = GOLDEN[topic.name]
    published = json.loads(topic.payload.model_validate_json(text(example)).model_dump_json())
    assert {**{name: example[name] for name in topic.added}, **published} == example
    assert not set(topic.added) & set(published)


@readers
def test_every_consumer_reads_the_golden_example_as_it_is_meant(reader: Reader) -> None:
    read = parse(message(reader.topic, text(GOLDEN[reader.topic])), reader.payload)
    assert same_where_read(read.model_dump(mode="json"), GOLDEN[reader.topic])


@readers_here
def test_every_consumer_reads_what_the_go_services_publish(reader: Reader) -> None:
    received = message(reader.topic, FROM_GO[reader.topic])
    read = parse(received, reader.payload).model_dump(mode="json")
    assert read["order_id"] == 1001
    if "products" in read and reader.topic != "order.created":
        assert read["products"] == [{"product_id": 1, "quantity": 2}]
    if reader.topic == "order.created":
        assert (read["total_amount"], read["currency"], read["products"]) == (450000.5, None, [])
    assert received.event_id == message(reader.topic, FROM_GO[reader.topic]).event_id


@readers
def test_no_consumer_minds_fields_that_it_does_not_know(reader: Reader) -> None:
    example = GOLDEN[reader.topic]
    more = {**example, "new": {"deep": [1]}}
    if "products" in example:
        more["products"] = [{**line, "new": None} for line in example["products"]]
    known = parse(message(reader.topic, text(example)), reader.payload)
    assert parse(message(reader.topic, text(more)), reader.payload) == known


async def test_the_handlers_of_the_services_read_what_the_contract_says_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables: list[tuple[str, ModuleType, Callable[[], Any]]] = [
        ("orderfc", orderfc.handler.kafka, lambda: orderfc.handler.kafka.handlers(NOTHING)),
        ("productfc", productfc.handler.kafka, lambda: productfc.handler.kafka.handlers(NOTHING, NOTHING)),
        ("paymentfc", paymentfc.handler.kafka, lambda: paymentfc.handler.kafka.handlers(*[NOTHING] * 4)),
    ]
    seen = []
    for service, module, handlers in tables:

        def noted(received: Message, model: type, service: str = service) -> None:
            seen.append((service, received.topic, model))
            raise InvalidMessage("seen", "that was all")

        monkeypatch.setattr(module, "parse", noted)
        for topic, handler in handlers().items():
            with pytest.raises(InvalidMessage, match="that was all"):
                await handler(message(topic, b"{}"))
            if isinstance(handler, BatchHandler):
                single = seen.pop()
                with pytest.raises(InvalidMessage, match="that was all"):
                    await handler.many([message(topic, b"{}")])
                assert seen[-1] == single, "both forms read the same"
    assert sorted(seen, key=str) == sorted(((r.service, r.topic, r.payload) for r in HERE), key=str)


@pytest.mark.parametrize(
    ("reader", "status"),
    [
        (reader, status)
        for reader in HERE
        for status in ("PAID", "FAILED", "EXPIRED", "REFUNDED", "paid", "")
        if reader.takes and status not in reader.takes["status"]
    ],
    ids=lambda part: getattr(part, "topic", part),
)
async def test_orderfc_refuses_every_status_that_the_contract_does_not_list(reader: Reader, status: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        await apply_payment_result(NOTHING, [(message(reader.topic, b""), PaymentResult(order_id=1, status=status))])
    assert refused.value.reason == "status_mismatch"


@topics
def test_the_headers_of_an_event_are_a_cloudevent_to_its_own_sdk(topic: Topic) -> None:
    example = GOLDEN[topic.name]
    trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "x-link-traceparent": f"00-{'c' * 32}-{'d' * 16}-01"}
    event = Event(topic.name, f"order-{example['order_id']}", json.dumps(example), headers=trace)
    jakarta = datetime(2026, 11, 24, 11, 0, 0, 123456, timezone(timedelta(hours=7)))
    headers = wire_headers(topic.producer, event.event_id, event.topic, jakarta, event.headers)
    sent = KafkaMessage({name: value.encode() for name, value in headers.items()}, event.key, event.payload.encode())
    read = from_binary_event(sent)
    assert read.get_id() == str(event.event_id)
    assert (read.get_type(), read.get_source(), read.get_specversion()) == (topic.name, topic.producer, "1.0")
    assert read.get_time() == datetime(2026, 11, 24, 4, 0, 0, 123456, tzinfo=UTC)
    assert headers["ce_time"] == "2026-11-24T04:00:00.123456Z"
    assert read.get_datacontenttype() == "application/json"
    assert read.get_data() == example
    assert read.get_extension("partitionkey") == "order-1001"
    assert not [name for name in read.get_attributes() if "trace" in name]


@readers_here
@pytest.mark.parametrize("number", [str(uuid7()), str(uuid4()), "order-1001-paid"], ids=["uuid7", "uuid4", "no uuid"])
def test_an_event_made_by_the_cloudevents_sdk_is_read_with_its_own_id(reader: Reader, number: str) -> None:
    attributes = {
        "id": number,
        "source": "elsewhere",
        "type": reader.topic,
        "datacontenttype": "application/json",
        "partitionkey": "order-1001",
    }
    made = to_binary_event(CloudEvent(attributes, GOLDEN[reader.topic]))
    headers = tuple(made.headers.items())
    value = made.value if isinstance(made.value, bytes) else str(made.value).encode()
    received = message(reader.topic, value, headers)
    elsewhere = Message.received(reader.topic, 5, 99, b"order-1001", value, headers)
    assert received.event_id == elsewhere.event_id
    assert len(number) != 36 or str(received.event_id) == number
    assert same_where_read(parse(received, reader.payload).model_dump(mode="json"), GOLDEN[reader.topic])


@readers_here
@pytest.mark.parametrize("broken", [b"{}", b"1", b"1e99999999", b"1e-99999999"])
def test_no_message_takes_long_to_be_refused(reader: Reader, broken: bytes) -> None:
    value = b",".join([broken] * (1024 * 1024 // (len(broken) + 1)))
    content = b'"order_id": 1, "user_id": 1, "total_amount": 5, "status": "PAID", "products": [%s]' % value
    started = perf_counter()
    for body in (content, content.replace(b'"order_id": 1', b'"order_id": %s' % broken)):
        with suppress(InvalidMessage):
            parse(message(reader.topic, b"{%s}" % body), reader.payload)
    # Tenths of a second; all errors of the lines took 20 s, and the large number hours.
    assert perf_counter() - started < 5
