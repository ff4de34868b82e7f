"""The consumer groups of Kafka: positions, ends, members."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from console.client.kafka import KafkaReader, learn
from console.model.groups import Group, Part

# The most groups; the platform has three.
MAX_GROUPS = 50


class Groups:
    """Reads consumer groups. Raises NoAnswer when Kafka does not answer in time."""

    def __init__(self, kafka: KafkaReader) -> None:
        self._kafka = kafka

    async def all(self) -> list[Group]:
        async with self._kafka.turn() as (consumer, admin):
            names = sorted({name for name, *_ in await admin.list_consumer_groups()})[:MAX_GROUPS]
            # The client can't read an answer about several groups.
            answers = await asyncio.gather(*(admin.describe_consumer_groups([name]) for name in names))
            committed = await asyncio.gather(*(_committed(admin, name) for name in names))
            positions = dict(zip(names, committed, strict=True))
            places = {place for each in committed for place in each}
            learn(consumer, sorted(places))
            ends = await consumer.end_offsets(list(places)) if places else {}
            groups = [_group(each, positions, ends) for [answer] in answers for each in answer.groups]
            return sorted(groups, key=lambda group: group.name)


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    return {place: found.offset for place, found in (await admin.list_consumer_group_offsets(group)).items()}


def _group(
    answer: Any, positions: Mapping[str, Mapping[TopicPartition, int]], ends: Mapping[TopicPartition, int]
) -> Group:
    _, name, state, _, _, described, *_ = answer
    members: list[str] = []
    workers: dict[TopicPartition, str] = {}
    for member, client, host, _, assignment in described:
        members.append(f"{client} {host.lstrip('/')} {member[-8:]}")
        if assignment:
            workers |= dict.fromkeys(ConsumerProtocolMemberAssignment.decode(assignment).partitions(), members[-1])
    committed = positions.get(name, {})
    parts = [
        Part(place.topic, place.partition, committed.get(place), ends.get(place), workers.get(place))
        for place in sorted({*committed, *workers})
    ]
    return Group(name, state, tuple(sorted(members)), tuple(parts))
