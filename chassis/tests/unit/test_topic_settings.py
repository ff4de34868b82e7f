"""What a topic should have, by its name and the settings."""

from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import LeaderNotAvailableError

from chassis.config.settings import ServiceSettings, load
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.topic_settings import IN_SYNC, differences, plan, with_dead_letters
from chassis.kafka.topics import MAX_REQUEST_BYTES
from console.model.audits import MAX_BYTES
from console.model.audits import TOPIC as AUDITS
from console.model.journal import CONFIGS
from console.model.journal import TOPIC as JOURNAL

DAY_MS = 86_400_000


def settings(**given: object) -> ServiceSettings:
    return load(ServiceSettings, environment="development", **given)


def test_each_topic_has_its_dead_letter_topic_once() -> None:
    assert with_dead_letters(["b", "a", "b"]) == ["a", "a.dlq", "b", "b.dlq"]


def test_a_topic_that_nobody_consumes_has_no_dead_letters() -> None:
    assert with_dead_letters([AUDITS, JOURNAL, "a"]) == ["a", "a.dlq", AUDITS, JOURNAL]


def test_reports_of_the_auditor_keep_their_order_for_three_months_and_fit() -> None:
    planned = plan(settings(kafka_partitions=12, kafka_replication=3), AUDITS)
    assert (planned.partitions, planned.replication) == (1, 3)
    assert int(planned.configs["retention.ms"]) == 90 * DAY_MS
    assert int(planned.configs["max.message.bytes"]) > MAX_BYTES


def test_the_journal_has_one_partition_and_is_made_the_same_by_its_first_entry() -> None:
    planned = plan(settings(kafka_partitions=12, kafka_replication=3), JOURNAL)
    assert (planned.partitions, planned.replication) == (1, 3)
    assert planned.configs.items() >= CONFIGS.items()


def test_partitions_and_copies_are_those_of_the_settings() -> None:
    planned = plan(settings(kafka_partitions=12, kafka_replication=3), "order.created")
    assert (planned.partitions, planned.replication) == (12, 3)


@pytest.mark.parametrize(("copies", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_one_copy_may_be_away_and_two_of_three_have_to_be_written(copies: int, in_sync: str) -> None:
    assert plan(settings(kafka_replication=copies), "order.created").configs[IN_SYNC] == in_sync


def test_dead_letters_are_kept_without_end_and_take_an_event_of_the_largest_size_with_headers() -> None:
    events, letters = (plan(settings(), name).configs for name in ("order.created", "order.created.dlq"))
    assert letters["retention.ms"] == "-1"
    assert int(letters["max.message.bytes"]) == MAX_REQUEST_BYTES > int(events["max.message.bytes"])


def test_an_event_that_is_read_again_is_still_known_to_the_inboxes() -> None:
    given = settings()
    retention_ms = int(plan(given, "order.created").configs["retention.ms"])
    assert 0 < retention_ms < given.inbox_keep_days * DAY_MS


def test_every_topic_has_a_value_for_each_setting_of_the_plan() -> None:
    names = {IN_SYNC, "cleanup.policy", "compression.type", "max.message.bytes", "retention.ms"}
    for topic in ("order.created", "order.created.dlq", AUDITS):
        assert set(plan(settings(), topic).configs) == names


async def test_a_topic_without_leaders_yet_is_waited_for() -> None:
    admin = AsyncMock(AIOKafkaAdminClient)
    new: dict[str, Any] = {"error_code": LeaderNotAvailableError.errno, "topic": "orders", "partitions": []}
    admin.describe_topics.return_value = [new]
    admin.describe_configs.return_value = [AsyncMock(resources=[(0, "", 2, "orders", [])])]
    with pytest.raises(LeaderNotAvailableError) as raised:
        await differences(admin, settings(), ["orders"])
    assert is_broker_trouble(raised.value)
