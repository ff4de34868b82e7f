"""The AsyncAPI 3.0 document: topics and dead letter topics, the services that send and receive, every message."""

from collections.abc import Mapping
from typing import Any

from chassis import __version__
from chassis.config.settings import ServiceSettings
from chassis.kafka.topics import dlq
from contracts.headers import dead_letter_headers, event_headers, example_dead_letter, example_headers, headers_of
from contracts.schemas import published
from contracts.topics import CONSUMERS, TOPICS, Topic

Part = dict[str, Any]

DEAD_LETTER = "dead_letter"
_EVENT_HEADERS = "event.headers"
_BINDING = "0.5.0"
_KEY = {
    "type": "string",
    "pattern": "^order-[1-9][0-9]*$",
    "description": "`order-<order_id>` on every topic: all events of an order are in one partition, in order.",
}
_ANY_KEY = {"type": "string", "description": "The original key, byte for byte; none if the original had none."}
_ABOUT = """\
Seven topics join the services. The key on every topic is `order-<order_id>`: events of one order keep their order
within a topic, and no order holds across topics. Delivery is at least once, `ce_id` tells duplicates.

Fields are only added. A consumer ignores unknown fields, takes `qty` where `quantity` is missing, and
accepts messages without headers, whose id it then derives from topic, partition and offset.

A message that cannot be applied goes to `<topic>.dlq`, written by the service that failed to apply it."""


def document(examples: Mapping[str, Any]) -> Part:
    """Return the document; `examples` are the golden examples by topic."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Go Commerce in Python: events", "version": __version__, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {
            "local": _server(_setting("kafka_broker"), "The broker as programs on this machine reach it."),
            "compose": _server("kafka:9092", "The broker as containers of docker-compose.yml reach it."),
        },
        "channels": {name: part for topic in TOPICS for name, part in _channels(topic)},
        "operations": {name: part for topic in TOPICS for name, part in _operations(topic)},
        "components": {
            "messages": {
                **{topic.name: _event(topic, examples[topic.name]) for topic in TOPICS},
                DEAD_LETTER: _dead_letter(TOPICS[0]),
            },
            "schemas": {
                name: part for part_of in (*map(_schemas, TOPICS), _shared_schemas()) for name, part in part_of
            },
        },
    }


def _setting(name: str) -> Any:
    """Return a setting's default, which is its value on a development machine."""
    return ServiceSettings.model_fields[name].default


def _server(host: str, description: str) -> Part:
    return {"host": host, "protocol": "kafka", "description": description}


def _ref(*path: str) -> Part:
    return {"$ref": "#/" + "/".join(path)}


def _channels(topic: Topic) -> list[tuple[str, Part]]:
    dead = f"What {' and '.join(CONSUMERS[topic.name])} could not apply of `{topic.name}`, for a person to look at."
    return [
        (topic.name, _channel(topic.name, topic.meaning, topic.name)),
        (dlq(topic.name), _channel(dlq(topic.name), dead, DEAD_LETTER)),
    ]


def _channel(address: str, description: str, message: str) -> Part:
    # As `fc topics` makes it in development; KAFKA_PARTITIONS and KAFKA_REPLICATION change it.
    kafka = {"partitions": _setting("kafka_partitions"), "replicas": 1}
    return {
        "address": address,
        "description": description,
        "messages": {message: _ref("components", "messages", message)},
        "bindings": {"kafka": {"topic": address, **kafka, "bindingVersion": _BINDING}},
    }


def _operations(topic: Topic) -> list[tuple[str, Part]]:
    name, consumers = topic.name, CONSUMERS[topic.name]
    return [
        _operation(topic.producer, "send", name, name, "From the outbox, with acks=all."),
        *(_operation(who, "receive", name, name, "Offsets move after the database commit.") for who in consumers),
        *(
            _operation(who, "send", dlq(name), DEAD_LETTER, "Acknowledged before the offset moves.")
            for who in consumers
        ),
    ]


def _operation(service: str, action: str, channel: str, message: str, summary: str) -> tuple[str, Part]:
    kafka: Part = {"clientId": {"type": "string", "const": service}}
    if action == "receive":
        kafka["groupId"] = {"type": "string", "const": service}
    return f"{service}.{action}.{channel}", {
        "action": action,
        "channel": _ref("channels", channel),
        "summary": summary,
        "tags": [{"name": service}],
        "messages": [_ref("channels", channel, "messages", message)],
        "bindings": {"kafka": {**kafka, "bindingVersion": _BINDING}},
    }


def _event(topic: Topic, example: Any) -> Part:
    shown = {"name": "golden", "headers": example_headers(topic), "payload": example}
    return _message(topic.name, topic.meaning, _KEY, shown)


def _dead_letter(topic: Topic) -> Part:
    shown = {"name": "empty_object", "headers": example_dead_letter(topic), "payload": {}}
    return _message(DEAD_LETTER, "A message that could not be applied.", _ANY_KEY, shown)


def _message(name: str, summary: str, key: Part, example: Part) -> Part:
    return {
        "name": name,
        "summary": summary,
        "headers": _ref("components", "schemas", f"{name}.headers"),
        "payload": _ref("components", "schemas", name),
        "bindings": {"kafka": {"key": key, "bindingVersion": _BINDING}},
        "examples": [example],
    }


def _schemas(topic: Topic) -> list[tuple[str, Part]]:
    value = published(topic)
    del value["$schema"]
    headers = {"allOf": [_ref("components", "schemas", _EVENT_HEADERS), headers_of(topic)]}
    return [(topic.name, value), (f"{topic.name}.headers", headers)]


def _shared_schemas() -> list[tuple[str, Part]]:
    original = "The original value, byte for byte. It may be missing, or no JSON at all."
    return [
        (_EVENT_HEADERS, event_headers()),
        (DEAD_LETTER, {"description": original}),
        (f"{DEAD_LETTER}.headers", dead_letter_headers()),
    ]
