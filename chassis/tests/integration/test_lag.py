"""The gauge of the consumer lag: right while nothing is committed, and exported by the owner of the partition only."""

from functools import partial

import pytest
from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from chassis.events import Message
from chassis.kafka import lag as module
from testkit import eventually

from .conftest import Join, Topic


def lag(topic: Topic) -> float | None:
    return REGISTRY.get_sample_value("gocommerce_consumer_lag_messages", {"topic": topic.name, "partition": "0"})


def lag_is(topic: Topic, number: int) -> bool:
    return lag(topic) == number


@pytest.fixture(autouse=True)
def frequent_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_S", 0.2)


async def test_the_lag_grows_while_a_dependency_is_away_and_falls_to_0_when_it_is_back(
    topic: Topic, join: Join
) -> None:
    member, away, tries = join(), [True], []

    async def handle(message: Message) -> None:
        tries.append(message.value)
        if away[0]:
            raise ConnectionRefusedError("database")

    member.handle = handle
    await topic.send(b"1")
    await eventually(lambda: tries, 20)
    for number in range(2, 8):
        await topic.send(b"%d" % number)
        await eventually(partial(lag_is, topic, number), 10)
    assert member.handled == []
    away[0] = False
    await eventually(lambda: lag(topic) == 0, 20)


async def test_a_partition_without_work_has_a_lag_of_0(topic: Topic, join: Join) -> None:
    await topic.send(b"1")
    first = join()
    await eventually(lambda: lag(topic) == 0, 20)
    await first.end()
    again = join()
    await eventually(lambda: again.partitions == 1, 20)
    await eventually(lambda: lag(topic) == 0, 20)
    assert again.handled == []


async def test_a_member_exports_how_many_copies_its_topics_lack(topic: Topic, join: Join) -> None:
    def missing() -> float | None:
        return REGISTRY.get_sample_value("gocommerce_kafka_replicas_missing", {"topic": topic.name})

    join()
    await eventually(lambda: missing() == 0, 20)


async def test_a_member_exports_no_lag_of_a_partition_that_was_revoked(topic: Topic, join: Join) -> None:
    member = join()
    await topic.send(b"1")
    await eventually(lambda: lag(topic) == 0, 20)
    await member.runner.revoke([TopicPartition(topic.name, 0)])
    assert lag(topic) is None


async def test_a_member_that_has_left_its_group_exports_no_lag(topic: Topic, join: Join) -> None:
    member = join()
    await topic.send(b"1")
    await eventually(lambda: lag(topic) == 0, 20)
    await member.end()
    assert lag(topic) is None


async def test_a_report_that_fails_unexpectedly_does_not_end_the_consumer(
    topic: Topic, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = []

    async def fail(_reporter: module.LagReporter) -> None:
        failures.append(1)
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(module.LagReporter, "_report", fail)
        member = join()
        await eventually(lambda: len(failures) >= 2, 20)
    await topic.send(b"1")
    await eventually(lambda: lag(topic) == 0, 20)
    assert member.handled == [b"1"]
