"""Which differences of a topic may be removed at any time, and which are left to a person."""

import pytest

from chassis.kafka.topic_settings import Difference
from fc.ops import topics
from fc.ops.topic_changes import Way, way
from fc.stack.errors import StackError


@pytest.mark.parametrize(
    ("name", "found", "planned", "copies", "expected"),
    [
        ("topic", "missing", "made", 0, Way.MISSING),
        ("partitions", "6", "12", 3, Way.SAFE),
        ("partitions", "12", "6", 3, Way.FEWER_PARTITIONS),
        ("replication", "1", "3", 1, Way.MORE_COPIES),
        ("retention.ms", "604800000", "-1", 3, Way.SAFE),
        ("retention.ms", "-1", "604800000", 3, Way.DELETES),
        ("retention.ms", "604800000", "1000", 3, Way.DELETES),
        ("max.message.bytes", "1048588", "2097152", 3, Way.SAFE),
        ("max.message.bytes", "2097152", "1048588", 3, Way.REFUSES),
        ("compression.type", "gzip", "producer", 3, Way.SAFE),
        ("cleanup.policy", "compact", "delete", 3, Way.COMPACTS),
        ("min.insync.replicas", "1", "2", 3, Way.SAFE),
        ("min.insync.replicas", "2", "1", 3, Way.FEWER_IN_SYNC),
        ("min.insync.replicas", "3", "2", 5, Way.FEWER_IN_SYNC),
        # With one copy nothing could be written any more, with two not while one of them is away.
        ("min.insync.replicas", "1", "2", 1, Way.COPIES_FIRST),
        ("min.insync.replicas", "1", "2", 2, Way.COPIES_FIRST),
    ],
)
def test_what_could_lose_or_refuse_an_event_is_left_to_a_person(
    name: str, found: str, planned: str, copies: int, expected: Way
) -> None:
    assert way(Difference("order.created", name, found, planned, copies)) is expected


@pytest.mark.parametrize(
    ("error", "says"), [(OSError("no route to kafka"), "no route to kafka"), (TimeoutError(), "has not answered")]
)
def test_a_broker_that_goes_away_meanwhile_is_said_in_one_sentence(error: Exception, says: str) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(StackError, match=says):
        topics._run(work())
