"""What may be done about a topic that differs from its plan, and the doing of it."""

from collections.abc import Iterable, Sequence
from enum import Enum

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from chassis.kafka.topic_settings import IN_SYNC, MISSING, PARTITIONS, REPLICATION, Difference

_TOPIC, _SET = 2, 0


class Way(Enum):
    """How a difference is removed; the value is what `fc topics` says of it."""

    MISSING = "fc topics makes it"
    SAFE = "--apply changes it"
    MORE_COPIES = "by hand: kafka-reassign-partitions.sh moves copies"
    COPIES_FIRST = "by hand: first more copies, or nothing could be written"
    FEWER_IN_SYNC = "by hand: an acknowledged event would be on fewer copies"
    FEWER_PARTITIONS = "by hand: a topic keeps its partitions; raise KAFKA_PARTITIONS"
    DELETES = "by hand: it deletes events that are kept now"
    REFUSES = "by hand: events that are taken now would be refused"
    COMPACTS = "by hand: it decides which events are kept"


_ALWAYS = {MISSING: Way.MISSING, REPLICATION: Way.MORE_COPIES, "cleanup.policy": Way.COMPACTS}
_LOWERED = {
    PARTITIONS: Way.FEWER_PARTITIONS,
    IN_SYNC: Way.FEWER_IN_SYNC,
    "retention.ms": Way.DELETES,
    "max.message.bytes": Way.REFUSES,
}


def way(difference: Difference) -> Way:
    """Say how a difference may be removed: what can lose or refuse an event is left to a person."""
    if difference.name in _ALWAYS:
        return _ALWAYS[difference.name]
    if difference.name == IN_SYNC and int(difference.planned) >= max(difference.copies, 2):
        return Way.COPIES_FIRST
    raised = _number(difference.planned) > _number(difference.found)
    return Way.SAFE if raised else _LOWERED.get(difference.name, Way.SAFE)


def _number(text: str) -> float:
    """Read a limit: -1 is none."""
    return float("inf") if text == "-1" else float(text) if text.lstrip("-").isdecimal() else 0.0


class _Response(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _Struct(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("config_operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _IncrementalAlterConfigs(Request[_Struct]):  # type: ignore[misc]  # aiokafka ships no types
    """Sets some settings of topics. The request that aiokafka has takes all others back to their defaults."""

    API_KEY = 44

    def __init__(self, changes: Iterable[Difference]) -> None:
        entries: dict[str, list[tuple[str, int, str]]] = {}
        for each in changes:
            entries.setdefault(each.topic, []).append((each.name, _SET, each.planned))
        self._resources = [(_TOPIC, topic, of_topic) for topic, of_topic in entries.items()]

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class(self._resources, False)


async def apply(admin: AIOKafkaAdminClient, changes: Sequence[Difference]) -> None:
    """Change the topics. Raises KafkaError for the first that is refused."""
    if settings := [each for each in changes if each.name != PARTITIONS]:
        answer = await admin._send_to_controller(_IncrementalAlterConfigs(settings))
        for code, message, _, topic in answer.responses:
            if code:
                raise for_code(code)(f"topic {topic}: {message}")
    if partitions := {each.topic: NewPartitions(int(each.planned)) for each in changes if each.name == PARTITIONS}:
        await admin.create_partitions(partitions)
