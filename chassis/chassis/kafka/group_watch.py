"""Watches one member of a consumer group, and raises when the group has stopped assigning partitions to it for good."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.producer import Producer

log = structlog.get_logger(__name__)

WATCH_S = 5
# A rebalance takes at most 30 s: a member that gets no answer for so long, from a broker that answers others, never
# gets one.
UNASSIGNED_S = 60
NO_PARTITION = TopicPartition("", 0)


class GroupWatch:
    """Checks every 5 s that the group's coordination is alive, and how long the member has had no assignment."""

    def __init__(self, consumer: AIOKafkaConsumer, producer: Producer, group: str) -> None:
        self._consumer = consumer
        self._producer = producer
        self._group = group
        # Rounds of waiting for an assignment, with a broker that answers; None while there is one. Rounds and not
        # seconds: those of a process that was paused do not count.
        self._rounds: int | None = 0

    def assigned(self) -> None:
        """Note an assignment, also an empty one."""
        self._rounds = None

    def revoked(self) -> None:
        """Note that the partitions are revoked: the next assignment is expected from now on."""
        self._rounds = 0

    async def run(self) -> None:
        """Raise KafkaError when the coordination has died, RuntimeError when it assigns nothing for 60 s."""
        while True:
            await asyncio.sleep(WATCH_S)
            await self._raise_coordinator_error()
            if self._rounds is None:
                continue
            answers = await self._broker_answers()
            # The assignment may have come meanwhile.
            if self._rounds is not None:
                self._rounds = self._rounds + 1 if answers else 0
                if self._rounds > UNASSIGNED_S / WATCH_S:
                    raise RuntimeError(f"group {self._group} has assigned nothing for {UNASSIGNED_S} s to this member")

    async def _raise_coordinator_error(self) -> None:
        # aiokafka raises its coordinator's error in a fetch only, and a member without partitions fetches nothing: so
        # a partition is fetched that does not exist.
        try:
            async with asyncio.timeout(WATCH_S):
                await self._consumer.getmany(NO_PARTITION)
        except TimeoutError:
            log.info("waiting for partitions", group=self._group)
        except KafkaError as error:
            if not is_broker_trouble(error):
                raise

    async def _broker_answers(self) -> bool:
        try:
            async with asyncio.timeout(WATCH_S):
                await self._producer.ping()
        except (KafkaError, OSError, TimeoutError):
            return False
        return True
