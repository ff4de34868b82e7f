"""What a topic should have, from topics.toml and the settings, and how one that exists differs from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from chassis.config.connections import KafkaSettings

DLQ_SUFFIX = ".dlq"
IN_SYNC = "min.insync.replicas"
PARTITIONS, REPLICATION, MISSING = "partitions", "replication", "topic"


def dlq(topic: str) -> str:
    return f"{topic}{DLQ_SUFFIX}"


def with_dead_letters(names: Iterable[str]) -> list[str]:
    """Return each topic and its dead letter topic, sorted. One with a section of its own has none: see topics.toml."""
    return [topic for name in sorted(set(names)) for topic in ((name,) if name in _file() else (name, dlq(name)))]


@dataclass(frozen=True)
class TopicPlan:
    """Partitions, copies of each, and the settings of a topic as Kafka writes them."""

    partitions: int
    replication: int
    configs: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """One property of a topic that is not as planned; `copies` is how many it keeps of each partition.

    A topic that does not exist has the one difference MISSING.
    """

    topic: str
    name: str
    found: str
    planned: str
    copies: int


@cache
def _file() -> Mapping[str, Mapping[str, int | str]]:
    # A running service knows the names of topics only.
    import tomllib

    return tomllib.loads(Path(__file__).with_name("topics.toml").read_text(encoding="utf-8"))


def plan(settings: KafkaSettings, topic: str) -> TopicPlan:
    """Return what a topic should have; its name says whether it is one of dead letters."""
    kind = topic if topic in _file() else "dead_letters" if topic.endswith(DLQ_SUFFIX) else "events"
    configs = {name: str(value) for name, value in {**_file()["all"], **_file()[kind]}.items()}
    configs[IN_SYNC] = str(min(int(configs[IN_SYNC]), max(settings.kafka_replication - 1, 1)))
    partitions = int(configs.pop(PARTITIONS, settings.kafka_partitions))
    return TopicPlan(partitions, settings.kafka_replication, configs)


async def differences(admin: AIOKafkaAdminClient, settings: KafkaSettings, topics: Sequence[str]) -> list[Difference]:
    """Compare topics with their plans. Raises KafkaError."""
    described = {each["topic"]: each for each in await admin.describe_topics()}
    configs = await _configs(admin, [topic for topic in topics if topic in described])
    found: list[Difference] = []
    for topic in topics:
        if topic not in described:
            found.append(Difference(topic, MISSING, "missing", "made", 0))
            continue
        if code := described[topic]["error_code"]:
            # A topic that was just made may have no leaders yet, and then no partitions in this answer.
            raise for_code(code)(f"topic {topic}")
        wanted, partitions = plan(settings, topic), described[topic]["partitions"]
        copies = min(len(each["replicas"]) for each in partitions)
        pairs = [(PARTITIONS, str(len(partitions)), str(wanted.partitions))]
        pairs.append((REPLICATION, str(copies), str(wanted.replication)))
        pairs += [(name, configs[topic].get(name, ""), value) for name, value in wanted.configs.items()]
        found += [Difference(topic, name, has, should, copies) for name, has, should in pairs if has != should]
    return found


async def _configs(admin: AIOKafkaAdminClient, topics: list[str]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, it) for it in topics])
    found: dict[str, dict[str, str]] = {}
    for code, message, _, topic, entries in answers[0].resources:
        if code:
            raise for_code(code)(f"topic {topic}: {message}")
        found[topic] = {name: value for name, value, *_ in entries}
    return found
