"""The gauge of missing replicas, from the metadata of the brokers that a consumer has anyway."""

from aiokafka import AIOKafkaConsumer
from prometheus_client import Gauge

MISSING = Gauge(
    "gocommerce_kafka_replicas_missing",
    "Copies of the topic's partitions that are away or behind, as the brokers said at most 30 s ago",
    ["topic"],
)


def report(consumer: AIOKafkaConsumer) -> None:
    """Set the gauge for each topic that the consumer reads."""
    # aiokafka has no public way to ask for the replicas that it knows.
    known = consumer._client.cluster._partitions
    for topic in consumer.subscription():
        partitions = known.get(topic, {}).values()
        MISSING.labels(topic).set(sum(len(each.replicas) - len(each.isr) for each in partitions))
