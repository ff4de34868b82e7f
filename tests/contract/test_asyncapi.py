"""The AsyncAPI document is valid and agrees with the code on topics, headers, dead letters and values."""

import asyncio
import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from jsonschema import Draft7Validator

import orderfc.app
import orderfc.events
import paymentfc.app
import paymentfc.events
import productfc.app
import productfc.events
from chassis.errors import InvalidMessage
from chassis.events import Event, Message, parse, wire_headers
from chassis.kafka.consumed import consumed
from chassis.kafka.partition import PartitionWorker
from chassis.kafka.producer import Producer
from chassis.kafka.topics import dlq
from chassis.service import Service
from contracts.facts import BY_TOPIC
from contracts.files import ASYNCAPI, ROOT, asyncapi, differences, generated, golden
from contracts.headers import REASONS
from contracts.schemas import fields, published
from contracts.topics import READERS, TOPICS, Topic
from contracts.validity import invalid
from orderfc.handler.schemas import CheckoutBody
from testkit import eventually

DOCUMENT = asyncapi((ROOT / ASYNCAPI).read_text())
MESSAGES = DOCUMENT["components"]["messages"]
SERVICES: list[Service] = [orderfc.app.SERVICE, productfc.app.SERVICE, paymentfc.app.SERVICE]

NOW = datetime.now(UTC)
PARTITION = TopicPartition("stock.updated", 0)

topics = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def validator(schema: dict[str, Any]) -> Draft7Validator:
    """Validate against a schema of the document, which may refer to others."""
    return Draft7Validator({"allOf": [schema], "components": DOCUMENT["components"]})


@dataclass
class Record:
    """A Kafka record, as far as a worker reads it."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    topic: str = PARTITION.topic
    partition: int = PARTITION.partition
    offset: int = 17
    key: bytes = b"order-1001"
    timestamp: int = 0


@dataclass
class OneRecord:
    """A consumer that has one record, and a producer that keeps the headers of what is sent."""

    record: Record
    given: bool = False
    sent: list[dict[str, str]] = field(default_factory=list)

    async def getmany(self, *_: TopicPartition, timeout_ms: int, max_records: int) -> dict[TopicPartition, Any]:
        if self.given:
            await asyncio.Event().wait()
        self.given = True
        return {PARTITION: [self.record]}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None: ...

    def highwater(self, _: TopicPartition) -> int | None: ...

    async def send(self, topic: str, value: Any, key: Any, headers: Any) -> None:
        self.sent.append({name: data.decode() for name, data in headers})


async def dead_letter(record: Record) -> dict[str, str]:
    """Return the headers of the dead letter that a worker makes of a record."""

    async def handler(message: Message) -> None:
        parse(message, productfc.events.StockUpdated)

    kafka = OneRecord(record)
    worker = PartitionWorker(
        kafka,
        PARTITION,
        handler,
        cast("Producer", kafka),
        max_tries=1,
        metrics=consumed(PARTITION.topic, "productfc"),
    )
    worker.start(asyncio.get_running_loop().create_future())
    await eventually(lambda: kafka.sent)
    await worker.drain(1)
    return kafka.sent[0]


def test_the_document_is_valid_asyncapi_3_0_and_every_reference_leads_somewhere() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert invalid(DOCUMENT) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("info"),
        lambda document: document.update(asyncapi="2.6.0"),
        lambda document: document["servers"]["local"].pop("protocol"),
        lambda document: document["channels"]["order.created"].update(adress="order.created"),
        lambda document: document["operations"]["orderfc.send.order.created"].update(action="publish"),
        lambda document: document["components"]["messages"]["order.created"].update(example={}),
        lambda document: document["components"]["schemas"]["order.created"].update(type="integr"),
        lambda document: document["channels"].pop("stock.rejected.dlq"),
        lambda document: document["components"]["schemas"].pop("event.headers"),
        lambda document: document["channels"]["order.created"]["bindings"]["kafka"].update(partitions="6"),
    ],
)
def test_a_spoiled_document_is_not_valid(spoil: Callable[[dict[str, Any]], object]) -> None:
    document = deepcopy(DOCUMENT)
    spoil(document)
    assert invalid(document)


def test_the_committed_files_are_those_that_the_event_models_make() -> None:
    assert differences(ROOT, generated(ROOT)) == []


def test_channels_are_the_topics_that_the_services_create_and_their_dead_letter_topics() -> None:
    created = {name for service in SERVICES for topic in service.topics for name in (topic, dlq(topic))}
    assert set(DOCUMENT["channels"]) == created
    assert all(channel["address"] == name for name, channel in DOCUMENT["channels"].items())


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_operations_say_what_each_service_sends_and_receives(service: Service) -> None:
    operations = [part.split(".", 2) for part in DOCUMENT["operations"] if part.startswith(f"{service.name}.")]
    received = {topic for _, action, topic in operations if action == "receive"}
    sent = {topic for _, action, topic in operations if action == "send"}
    assert sent == {topic for topic in sent if not topic.endswith(".dlq")} | {dlq(topic) for topic in received}
    assert received | {topic for topic in sent if not topic.endswith(".dlq")} == set(service.topics)
    events = {"orderfc": orderfc.events, "productfc": productfc.events}.get(service.name)
    if events:
        assert received == set(events.CONSUMED)


@pytest.mark.parametrize("name", MESSAGES)
def test_the_example_of_a_message_fits_its_schemas(name: str) -> None:
    [example] = MESSAGES[name]["examples"]
    validator(MESSAGES[name]["headers"]).validate(example["headers"])
    validator(MESSAGES[name]["payload"]).validate(example["payload"])
    if name != "dead_letter":
        assert example["payload"] == golden(ROOT)[name]


@topics
def test_a_value_without_one_of_its_fields_or_of_another_type_does_not_fit_the_schema(topic: Topic) -> None:
    schema, example = published(topic), golden(ROOT)[topic.name]
    assert json.loads((ROOT / f"protos/events/{topic.name}.schema.json").read_text()) == schema
    judge = Draft7Validator(schema)
    assert judge.is_valid(example)
    for name in example:
        assert not judge.is_valid({field: value for field, value in example.items() if field != name})
        assert not judge.is_valid({**example, name: [[]]})


@topics
def test_the_relays_headers_fit_the_headers_schema_and_those_of_another_topic_do_not(topic: Topic) -> None:
    event = Event.of(topic.name, "order-1", "{}", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    headers = wire_headers(topic.producer, event.event_id, event.topic, NOW, event.headers)
    judge = validator(MESSAGES[topic.name]["headers"])
    judge.validate(headers)
    assert not judge.is_valid({**headers, "ce_type": "another.topic"})
    for name in ("ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time", "content-type"):
        assert not judge.is_valid({key: value for key, value in headers.items() if key != name})


@topics
def test_the_key_of_an_event_fits_the_key_schema(topic: Topic) -> None:
    key = Draft7Validator(MESSAGES[topic.name]["bindings"]["kafka"]["key"])
    for events in (orderfc.events, productfc.events, paymentfc.events):
        assert key.is_valid(events.order_key(1001))
    assert not key.is_valid("1001")


@pytest.mark.parametrize("value", [None, b"{", b"{}", b'{"order_id": 0, "products": []}'])
@pytest.mark.parametrize("ours", [True, False])
async def test_the_headers_of_a_real_dead_letter_fit_the_schema_and_are_all_in_it(value: bytes, ours: bool) -> None:
    sent = Event.of("stock.updated", "order-1001", "{}")
    original = wire_headers("orderfc", sent.event_id, sent.topic, NOW, sent.headers) if ours else {}
    headers = await dead_letter(Record(value, tuple((name, text.encode()) for name, text in original.items())))
    schema = DOCUMENT["components"]["schemas"]["dead_letter.headers"]
    validator(schema).validate(headers)
    assert set(headers) - set(original) == set(schema["required"]) | (set() if ours else {"x-event-id"})
    assert {name: headers[name] for name in original} == original
    assert not validator(schema).is_valid({**headers, "x-reason": "because"})


@pytest.mark.parametrize("reader", [reader for reader in READERS if not reader.in_go], ids=lambda reader: reader.name)
def test_the_example_of_a_dead_letter_is_what_every_consumer_makes_of_an_empty_object(reader: Any) -> None:
    [example] = MESSAGES["dead_letter"]["examples"]
    value = json.dumps(example["payload"]).encode()
    with pytest.raises(InvalidMessage) as refused:
        parse(Message.received(reader.topic, 3, 1042, None, value), reader.payload)
    assert (refused.value.reason, str(refused.value)) == (example["headers"]["x-reason"], example["headers"]["x-error"])


def test_the_reasons_of_dead_letters_are_those_in_the_code_and_in_the_documentation() -> None:
    packages = ("chassis", "productfc", "orderfc", "paymentfc")
    sources = [path.read_text() for name in packages for path in Path(ROOT / name / name).rglob("*.py")]
    raised = {reason for source in sources for reason in re.findall(r'InvalidMessage\(\s*"(\w+)"', source)}
    worker = (ROOT / "chassis/chassis/kafka/retry.py").read_text()
    assert raised | set(re.findall(r'dead_letter="(\w+)"', worker)) == set(REASONS)
    documented = (ROOT / "docs/events.md").read_text()
    assert [reason for reason in REASONS if f"`{reason}`" not in documented] == []


@topics
def test_every_published_field_is_described_and_no_description_is_left_over(topic: Topic) -> None:
    described = dict(fields(published(topic)))
    assert [path for path, schema in described.items() if not schema.get("description")] == []
    assert set(BY_TOPIC[topic.name]) <= set(described)


def test_the_bounds_of_published_baskets_are_those_that_checkout_holds_clients_to() -> None:
    asked = CheckoutBody.model_json_schema()
    promised = dict(fields(published(TOPICS[0])))
    bounds = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
    pairs = {
        "products": asked["properties"]["items"],
        "products[].product_id": asked["$defs"]["CheckoutItem"]["properties"]["product_id"],
        "products[].quantity": asked["$defs"]["CheckoutItem"]["properties"]["quantity"],
        "payment_method": asked["properties"]["payment_method"],
        "shipping_address": asked["properties"]["shipping_address"],
    }
    for path, schema in pairs.items():
        held = {bound: schema[bound] for bound in bounds if bound in schema}
        assert held, path
        assert held == {bound: promised[path][bound] for bound in bounds if bound in promised[path]}, path
