"""The partition worker's fetches, commits and stop: no offset moves ahead of its work, and no work is done twice."""

import asyncio
import gc
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
)

from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message
from chassis.kafka.partition import PartitionWorker
from testkit import eventually

from .worker import METRICS, TP, FakeConsumer, FakeProducer, Record, Running, nothing


@pytest.fixture(autouse=True, params=[False, True], ids=["one by one", "in runs"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test holds for both forms of a handler."""
    monkeypatch.setattr(Running, "in_runs", request.param)


@pytest.mark.parametrize("error", [KafkaError("the coordination died"), GroupAuthorizationFailedError("g")])
async def test_a_fetch_that_can_never_succeed_ends_the_worker(error: Exception) -> None:
    running = Running([], lambda _m, _run: None)
    running.consumer.fetch_error = error
    running.consumer.records = [Record(1, "a")]
    with pytest.raises(type(error)):
        await asyncio.wait_for(running.failed, 15)


async def test_a_fetch_that_can_succeed_later_is_tried_again() -> None:
    running = Running([Record(1, "a")], lambda _m, _run: None)
    running.consumer.fetch_error = KafkaConnectionError("no broker")
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
    worker = PartitionWorker(consumer, TP, handler, producer, max_tries=3, metrics=METRICS)
    worker.start(asyncio.get_running_loop().create_future())
    await started.wait()
    draining = asyncio.create_task(worker.drain(3600))
    await asyncio.sleep(0)
    draining.cancel()
    await asyncio.wait({draining})
    await eventually(ended.is_set)


async def test_a_dependency_that_is_down_holds_the_partition_without_counting_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chassis.kafka.chain.MAX_WAIT_S", 0.05)

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


async def test_a_log_that_begins_again_is_read_from_there_beside_what_still_waits_of_the_former_one() -> None:
    known = asyncio.Event()

    def handle(message: Message, _run: int) -> None:
        if message.key == "early" and not known.is_set():
            raise NotYet("order 1 is not known yet")

    # The topic was made anew: its offsets come again, also that of the message that waits.
    records = [Record(7, "early"), Record(8, "a"), Record(6, "b"), Record(7, "c"), Record(8, "early"), Record(9, "d")]
    running = Running(records, handle)
    await eventually(lambda: running.handled == [8, 6, 7, 9])
    await eventually(lambda: running.consumer.commits == [8])
    known.set()
    await running.committed(10)
    assert running.handled == [8, 6, 7, 9, 7, 8]
    assert not running.failed.done()


async def test_the_offset_moves_past_what_is_no_message_but_not_past_one_that_waits() -> None:
    known = asyncio.Event()

    def handle(message: Message, _run: int) -> None:
        if message.offset == 1 and not known.is_set():
            raise NotYet("order 1 is not known yet")

    running = Running([Record(1, "a"), Record(2, "b")], handle)
    running.consumer.markers = 5
    # Before the second fetch the worker has looked how far the offset may move.
    await eventually(lambda: running.handled == [2] and running.consumer.fetches > 1)
    assert running.consumer.commits == []
    known.set()
    await running.committed(5)


async def test_a_stopped_worker_finishes_the_message_in_flight_and_commits_it() -> None:
    started, release = asyncio.Event(), asyncio.Event()
    consumer: Any = FakeConsumer([Record(1, "a"), Record(2, "a")])
    producer: Any = FakeProducer()

    async def handler(_message: Message) -> None:
        started.set()
        await release.wait()

    worker = PartitionWorker(consumer, TP, handler, producer, max_tries=3, metrics=METRICS)
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

    worker = PartitionWorker(consumer, TP, handler, producer, max_tries=3, metrics=METRICS)
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
    worker = PartitionWorker(consumer, TP, nothing, cast("Any", FakeProducer()), max_tries=3, metrics=METRICS)
    worker.start(asyncio.get_running_loop().create_future())
    await eventually(lambda: worker.offsets._committing is not None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await worker.drain(5)
    commit = worker.offsets._committing
    assert commit is not None
    gate.set()
    await asyncio.wait({commit[0]})
    worker.offsets._committing = None
    del commit
    gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert lost == []
