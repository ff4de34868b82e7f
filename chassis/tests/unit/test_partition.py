"""The partition worker decides what becomes of a message; these tests drive it with a consumer made of lists."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    CorruptRecordException,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
)
from structlog.contextvars import bind_contextvars, get_contextvars

from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message
from chassis.kafka.partition import PartitionWorker
from chassis.loops import wait_any
from testkit import eventually

TP = TopicPartition("stock.updated", 0)


class Record:
    """The fields of an aiokafka record that the worker reads."""

    def __init__(self, offset: int, key: str, value: bytes = b"{}") -> None:
        self.topic, self.partition, self.offset = TP.topic, TP.partition, offset
        self.key, self.value, self.timestamp = key.encode(), value, 0
        self.headers = (("ce_id", f"00000000-0000-7000-8000-{offset:012d}".encode()),)


class FakeConsumer:
    """Hands out records once, remembers commits, and can refuse them."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.commits: list[int] = []
        self.commit_error: Exception | None = None
        self.fetch_error: Exception | None = None

    async def getmany(self, *_partitions: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        if self.fetch_error:
            error, self.fetch_error = self.fetch_error, None
            raise error
        if not self.records:
            await wait_any(timeout_ms / 1000, asyncio.Event())
            return {}
        batch, self.records = self.records[:max_records], self.records[max_records:]
        return {TP: batch}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.commit_error:
            raise self.commit_error
        self.commits.append(offsets[TP])

    def highwater(self, _partition: TopicPartition) -> int:
        return 0


class FakeProducer:
    """Keeps what was sent; fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None, dict[str, str]]] = []
        self.contexts: list[dict[str, Any]] = []
        self.failures = failures

    async def send(self, topic: str, value: bytes | None, key: bytes | None, headers: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError("no broker")
        self.contexts.append(get_contextvars())
        self.sent.append((topic, value, key, {name: data.decode() for name, data in headers}))


class Running:
    """A started worker with its fakes and the order in which messages were handled."""

    def __init__(self, records: list[Record], handle: Callable[[Message, int], None], **options: Any) -> None:
        self.consumer, self.producer = FakeConsumer(records), options.pop("producer", FakeProducer())
        self.handled: list[int] = []
        self.runs: dict[int, int] = {}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def handler(message: Message) -> None:
            self.runs[message.offset] = self.runs.get(message.offset, 0) + 1
            handle(message, self.runs[message.offset])
            self.handled.append(message.offset)

        self.worker = PartitionWorker(
            self.consumer, TP, handler, self.producer, max_tries=3, handler_name="test", **options
        )
        self.worker.start(self.failed)

    async def committed(self, offset: int) -> None:
        await eventually(lambda: self.consumer.commits and self.consumer.commits[-1] == offset)
        await self.worker.drain(2)


async def test_offsets_are_committed_after_the_work_and_in_order() -> None:
    running = Running([Record(5, "a"), Record(6, "b")], lambda _m, _run: None)
    await running.committed(7)
    assert running.handled == [5, 6]


async def test_an_invalid_message_goes_to_the_dead_letter_topic_at_once_with_its_reason_and_key() -> None:
    def handle(message: Message, _run: int) -> None:
        if message.offset == 1:
            raise InvalidMessage("invalid_json", "value: not JSON")

    running = Running([Record(1, "order-1", b"{"), Record(2, "order-2")], handle)
    await running.committed(3)
    assert running.handled == [2]
    assert running.runs[1] == 1
    [(topic, value, key, headers)] = running.producer.sent
    assert (topic, value, key) == ("stock.updated.dlq", b"{", b"order-1")
    assert headers["x-reason"] == "invalid_json"
    assert headers["x-error"] == "value: not JSON"
    assert (headers["x-source-topic"], headers["x-source-partition"], headers["x-source-offset"]) == (
        "stock.updated",
        "0",
        "1",
    )
    assert headers["ce_id"].endswith("000000000001")
    assert {"x-handler", "x-attempts", "x-failed-at"} <= headers.keys()


async def test_a_failing_message_is_tried_as_often_as_configured_and_then_dead_lettered() -> None:
    def handle(message: Message, _run: int) -> None:
        if message.offset == 1:
            raise ValueError("cannot")

    running = Running([Record(1, "a"), Record(2, "b")], handle)
    await running.committed(3)
    assert running.runs[1] == 3
    assert running.producer.sent[0][3]["x-reason"] == "handler_failed"
    assert running.producer.sent[0][3]["x-attempts"] == "3"


async def test_a_message_that_is_too_early_delays_its_own_key_only_and_keeps_the_order_of_that_key() -> None:
    known = asyncio.Event()

    def handle(message: Message, _run: int) -> None:
        if message.key == "early" and not known.is_set():
            raise NotYet("order 1 is not known yet")

    running = Running([Record(1, "early"), Record(2, "other"), Record(3, "early"), Record(4, "other")], handle)
    await eventually(lambda: running.handled == [2, 4])
    assert running.consumer.commits == [], "an open message must hold the offset back"
    known.set()
    await running.committed(5)
    assert running.handled == [2, 4, 1, 3]


async def test_a_message_that_stays_too_early_is_dead_lettered_when_its_time_is_over() -> None:
    def handle(_message: Message, _run: int) -> None:
        raise NotYet("order 1 is not known")

    running = Running([Record(1, "early")], handle, not_yet_s=0.6)
    await running.committed(2)
    assert running.runs[1] >= 2
    assert running.producer.sent[0][3]["x-reason"] == "not_yet"


async def test_an_outage_takes_nothing_from_the_time_of_a_message_that_is_too_early() -> None:
    def handle(_message: Message, run: int) -> None:
        if run <= 2:
            raise ConnectionRefusedError("database")
        raise NotYet("order 1 is not known")

    running = Running([Record(1, "early")], handle, not_yet_s=0.6)
    await running.committed(2)
    assert running.runs[1] >= 2 + 2
    assert running.producer.sent[0][3]["x-reason"] == "not_yet"


async def test_what_a_handler_binds_to_the_log_is_not_on_the_lines_of_later_messages() -> None:
    def handle(message: Message, _run: int) -> None:
        if message.offset == 2:
            raise InvalidMessage("invalid_json", "value: not JSON")
        bind_contextvars(order_id=message.offset)

    running = Running([Record(1, "a"), Record(2, "b")], handle)
    await running.committed(3)
    [context] = running.producer.contexts
    assert (context["offset"], context["key"]) == (2, "b")
    assert "order_id" not in context


async def test_what_a_handler_has_bound_is_on_the_line_of_its_own_dead_letter() -> None:
    def handle(message: Message, _run: int) -> None:
        bind_contextvars(order_id=message.offset)
        raise InvalidMessage("status_mismatch", "no")

    running = Running([Record(1, "a")], handle)
    await running.committed(2)
    assert running.producer.contexts[0]["order_id"] == 1


@pytest.mark.parametrize("error", [KafkaError("the coordination died"), GroupAuthorizationFailedError("g")])
async def test_a_fetch_that_can_never_succeed_ends_the_worker(error: Exception) -> None:
    running = Running([], lambda _m, _run: None)
    running.consumer.fetch_error = error
    running.consumer.records = [Record(1, "a")]
    with pytest.raises(type(error)):
        await asyncio.wait_for(running.failed, 15)


@pytest.mark.parametrize("error", [KafkaConnectionError("no broker"), CorruptRecordException("crc")])
async def test_a_fetch_that_can_succeed_later_is_tried_again(error: Exception) -> None:
    running = Running([Record(1, "a")], lambda _m, _run: None)
    running.consumer.fetch_error = error
    await running.committed(2)
    assert not running.failed.done()


async def test_a_cancelled_drain_ends_the_handler_too() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def handler(_message: Message) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    consumer: Any = FakeConsumer([Record(1, "a")])
    producer: Any = FakeProducer()
    worker = PartitionWorker(consumer, TP, handler, producer, max_tries=3, handler_name="t")
    worker.start(asyncio.get_running_loop().create_future())
    await started.wait()
    draining = asyncio.create_task(worker.drain(3600))
    await asyncio.sleep(0)
    draining.cancel()
    await asyncio.wait({draining})
    await eventually(ended.is_set)


async def test_a_dependency_that_is_down_holds_the_partition_without_counting_tries() -> None:
    def handle(message: Message, run: int) -> None:
        if message.offset == 1 and run <= 4:
            raise ConnectionRefusedError("database")

    running = Running([Record(1, "a"), Record(2, "b")], handle)
    await running.committed(3)
    assert running.handled == [1, 2]
    assert running.runs[1] == 5, "more runs than max_tries"
    assert running.producer.sent == []


async def test_the_offset_does_not_move_before_the_dead_letter_is_written() -> None:
    def handle(_message: Message, _run: int) -> None:
        raise InvalidMessage("null_value", "the message has no value")

    producer = FakeProducer(failures=2)
    running = Running([Record(1, "a")], handle, producer=producer)
    await eventually(lambda: producer.failures < 2)
    assert running.consumer.commits == []
    await running.committed(2)
    assert len(producer.sent) == 1


async def test_a_stopped_worker_finishes_the_message_in_flight_and_commits_it() -> None:
    started, release = asyncio.Event(), asyncio.Event()
    consumer: Any = FakeConsumer([Record(1, "a"), Record(2, "a")])
    producer: Any = FakeProducer()

    async def handler(_message: Message) -> None:
        started.set()
        await release.wait()

    worker = PartitionWorker(consumer, TP, handler, producer, max_tries=3, handler_name="t")
    worker.start(asyncio.get_running_loop().create_future())
    await started.wait()
    draining = asyncio.create_task(worker.drain(5))
    release.set()
    await draining
    assert consumer.commits == [2], "the first message is done, the second was not begun"


@pytest.mark.parametrize("error", [CommitFailedError("taken over")])
async def test_a_partition_that_was_taken_over_is_dropped_without_failing_the_process(error: Exception) -> None:
    running = Running([Record(1, "a")], lambda _m, _run: None)
    running.consumer.commit_error = error
    await eventually(lambda: running.worker._task is not None and running.worker._task.done())
    assert not running.failed.done()


async def test_a_commit_that_takes_too_long_is_waited_for_and_not_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.kafka.offsets.COMMIT_TIMEOUT_S", 0.02)
    answer, asked = asyncio.Event(), []

    class Slow(FakeConsumer):
        async def commit(self, offsets: dict[TopicPartition, int]) -> None:
            asked.append(offsets[TP])
            await answer.wait()
            await super().commit(offsets)

    consumer: Any = Slow([Record(1, "a"), Record(2, "b"), Record(3, "c")])
    producer: Any = FakeProducer()
    handled: list[int] = []

    async def handler(message: Message) -> None:
        handled.append(message.offset)
        if message.offset == 1:
            # The first commit is under way when the others are done.
            consumer.records, rest = [], consumer.records
            asyncio.get_running_loop().call_later(0.05, lambda: consumer.records.extend(rest))

    worker = PartitionWorker(consumer, TP, handler, producer, max_tries=3, handler_name="t")
    worker.start(asyncio.get_running_loop().create_future())
    await eventually(lambda: handled == [1, 2, 3])
    answer.set()
    await eventually(lambda: consumer.commits and consumer.commits[-1] == 4)
    await worker.drain(2)
    assert asked == sorted(set(asked))


async def test_a_commit_that_fails_after_its_worker_has_gone_is_no_lost_exception() -> None:
    lost: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: lost.append(context))
    gate = asyncio.Event()

    class Hanging(FakeConsumer):
        async def commit(self, offsets: dict[TopicPartition, int]) -> None:
            await gate.wait()
            raise KafkaConnectionError("the broker has gone")

    consumer: Any = Hanging([Record(1, "a")])
    worker = PartitionWorker(consumer, TP, _nothing, cast("Any", FakeProducer()), max_tries=3, handler_name="t")
    worker.start(asyncio.get_running_loop().create_future())
    await eventually(lambda: worker._offsets._committing is not None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await worker.drain(5)
    commit = worker._offsets._committing
    assert commit is not None
    gate.set()
    await asyncio.wait({commit[0]})
    worker._offsets._committing = None
    del commit
    gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert lost == []


async def _nothing(_message: Message) -> None:
    """Be done at once."""
