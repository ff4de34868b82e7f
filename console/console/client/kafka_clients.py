"""The connections to Kafka that operators share: made when they are first used, and closed together."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import BrokerResponseError, KafkaError

from chassis.errors import Invalid
from chassis.kafka.batches import make_consumer
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.topics import MAX_REQUEST_BYTES
from console.client.admin_api import NoAnswer

REQUEST_MS = 10_000
# One send, with the connection that it may need first.
SEND_S = 12.0
STOP_S = 2.0
# The broker answers the requests of a connection in turn: a fetch that waits for records holds up the questions.
FETCH_WAIT_MS = 20
# The most bytes of a partition in one answer, so that one letter costs little more than itself. Kafka returns a larger
# batch all the same when it is the first.
FETCH_BYTES = 128 * 1024

Header = tuple[str, bytes]
Readers = tuple[AIOKafkaConsumer, AIOKafkaAdminClient]


class KafkaClients:
    """A consumer that joins no group, an admin client and a producer. Each call raises NoAnswer when Kafka fails."""

    def __init__(self, client_id: str, **connection: Any) -> None:
        self._connection = {**connection, "client_id": client_id}
        self._connecting: asyncio.Task[Readers] | None = None
        self._writing: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def connect(self) -> None:
        """Connect for reading, unless it is connected."""
        await self._readers()

    async def disconnect(self) -> None:
        """End the connection for reading, or a try that is not done; what is being sent goes on."""
        connecting, self._connecting = self._connecting, None
        if connecting is None:
            return
        connecting.cancel()
        with suppress(asyncio.CancelledError, NoAnswer):
            consumer, admin = await connecting
            await _close(admin.close, consumer.stop)

    async def close(self) -> None:
        await self.disconnect()
        writer, self._writing = self._writing, None
        if writer is not None:
            await _stop(writer)

    async def _readers(self) -> Readers:
        # Who can't wait any longer leaves the connection to be made for the next one, but not its failure.
        if self._connecting is None or _has_failed(self._connecting):
            self._connecting = asyncio.create_task(self._connect(), name="connect to Kafka")
        connecting = self._connecting
        try:
            return await asyncio.shield(connecting)
        except NoAnswer:
            if self._connecting is connecting:
                self._connecting = None
            raise

    @property
    def is_connected(self) -> bool:
        return self._connecting is not None and self._connecting.done()

    def rest(self) -> None:
        """Fetch nothing until the next reading: a consumer never stops asking for more of its partitions."""
        task = self._connecting
        if task is not None and task.done() and not task.cancelled() and task.exception() is None:
            consumer, _ = task.result()
            # As in client/kafka.py: to unsubscribe could end the consumer's fetching.
            consumer.assign([])

    async def _connect(self) -> Readers:
        consumer = _consumer(self._connection)
        admin = AIOKafkaAdminClient(**self._connection, request_timeout_ms=REQUEST_MS)
        try:
            with self._failures():
                await consumer.start()
                await admin.start()
        except BaseException:
            await _close(consumer.stop, admin.close)
            raise
        return consumer, admin

    async def _writer(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._writing is None:
                producer = _producer(self._connection)
                try:
                    with self._failures():
                        await producer.start()
                except BaseException:
                    await _stop(producer)
                    raise
                self._writing = producer
            return self._writing

    async def _written(
        self, topic: str, value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]]
    ) -> int:
        """Return the offset. Raises KafkaError, or Invalid for a record that the producer or the broker refuses."""
        writer = await self._writer()
        try:
            return int((await writer.send_and_wait(topic, value, key, headers=headers)).offset)
        except KafkaError as error:
            if is_broker_trouble(error):
                raise
            if isinstance(error, BrokerResponseError):
                raise Invalid(f"Kafka refuses it: {error}") from error
            # aiokafka's sender has ended for good: the next send needs another producer.
            if self._writing is writer:
                self._writing = None
                await _stop(writer)
            raise

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (KafkaError, OSError, TimeoutError) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _close(*closes: Any) -> None:
    for close in closes:
        with suppress(KafkaError, OSError, TimeoutError):
            await close()


async def _stop(producer: AIOKafkaProducer) -> None:
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(STOP_S):
            await producer.stop()


def _consumer(connection: Mapping[str, Any]) -> AIOKafkaConsumer:
    return make_consumer(
        **connection,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=REQUEST_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_BYTES,
    )


def _producer(connection: Mapping[str, Any]) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        **connection,
        acks="all",
        linger_ms=0,
        request_timeout_ms=REQUEST_MS,
        max_request_size=MAX_REQUEST_BYTES,
    )
