"""Missing copies are counted from the metadata as aiokafka keeps it."""

from types import SimpleNamespace
from typing import Any

from aiokafka.cluster import ClusterMetadata
from aiokafka.protocol.metadata import MetadataResponse_v0
from prometheus_client import REGISTRY

from chassis.kafka import replicas

BROKERS = [(number, "broker", 9092) for number in (1, 2, 3)]
ALL = [1, 2, 3]


def missing(topic: str) -> float | None:
    return REGISTRY.get_sample_value("gocommerce_kafka_replicas_missing", {"topic": topic})


def test_copies_that_are_not_in_sync_are_counted_over_all_partitions_of_a_topic() -> None:
    cluster = ClusterMetadata()
    consumer: Any = SimpleNamespace(
        _client=SimpleNamespace(cluster=cluster), subscription=lambda: frozenset({"events", "unknown"})
    )

    def told(*in_sync: list[int]) -> float | None:
        places = [(0, number, each[0], ALL, each) for number, each in enumerate(in_sync)]
        cluster.update_metadata(MetadataResponse_v0(BROKERS, [(0, "events", places), (0, "others", places)]))
        replicas.report(consumer)
        return missing("events")

    assert told(ALL, ALL) == 0
    assert told([1, 2], [3]) == 3
    assert told(ALL, [2, 1, 3]) == 0
    assert (missing("unknown"), missing("others")) == (0, None)
