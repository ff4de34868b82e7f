"""Topics on a real broker: made as planned, and compared with the plan."""

from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAuthorizationFailedError
from structlog.testing import capture_logs

from chassis.config.settings import ServiceSettings
from chassis.jobs import run_once
from chassis.kafka.topic_settings import Difference
from chassis.kafka.topics import ensure_topics, opened_admin, topic_differences
from testkit import eventually


async def known(admin: AIOKafkaAdminClient, topic: str) -> bool:
    return topic in await admin.list_topics()


async def both_known(settings: ServiceSettings, topic: str) -> None:
    """Wait until the broker lists a topic and its dead letter topic."""
    async with opened_admin(settings) as admin:
        for name in (topic, f"{topic}.dlq"):
            await eventually(partial(known, admin, name), 30)


async def test_a_topic_that_was_made_as_planned_does_not_differ(kafka_settings: ServiceSettings) -> None:
    name = f"t-{uuid4().hex[:10]}"
    assert await ensure_topics(kafka_settings, [name]) == [name, f"{name}.dlq"]
    await both_known(kafka_settings, name)
    assert await topic_differences(kafka_settings, [name]) == []


async def test_every_property_that_differs_is_named_with_both_values(kafka_settings: ServiceSettings) -> None:
    name = f"t-{uuid4().hex[:10]}"
    async with opened_admin(kafka_settings) as admin:
        made = NewTopic(name, 2, 1, topic_configs={"retention.ms": "1000", "compression.type": "gzip"})
        await admin.create_topics([made])
        await eventually(partial(known, admin, name), 30)
    assert await topic_differences(kafka_settings, [name]) == [
        Difference(name, "partitions", "2", "1", 1),
        Difference(name, "compression.type", "gzip", "producer", 1),
        Difference(name, "retention.ms", "1000", "604800000", 1),
        Difference(f"{name}.dlq", "topic", "missing", "made", 0),
    ]


async def test_topics_that_exist_are_left_as_they_are(kafka_settings: ServiceSettings) -> None:
    name = f"t-{uuid4().hex[:10]}"
    await ensure_topics(kafka_settings, [name])
    await both_known(kafka_settings, name)
    other = kafka_settings.model_copy(update={"kafka_partitions": 4})
    assert await ensure_topics(other, [name]) == []
    found = await topic_differences(other, [name])
    assert [(each.topic, each.name, each.found, each.planned) for each in found] == [
        (name, "partitions", "1", "4"),
        (f"{name}.dlq", "partitions", "1", "4"),
    ]


async def test_who_may_create_topics_but_not_read_their_settings_has_them_created(
    kafka_settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(_: AIOKafkaAdminClient, resources: list[Any]) -> list[Any]:
        code = TopicAuthorizationFailedError.errno
        return [SimpleNamespace(resources=[(code, "not authorized", 2, each.name, []) for each in resources])]

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_configs", refused)
    name = f"t-{uuid4().hex[:10]}"
    async with opened_admin(kafka_settings) as admin:
        for expected in ([name, f"{name}.dlq"], []):
            with capture_logs() as lines:
                assert await run_once("topics", kafka_settings, [name]) is None
            assert lines[0]["created"] == expected
            await eventually(partial(known, admin, f"{name}.dlq"), 30)
    assert lines[-1]["event"] == "topics were not compared with their plan"
