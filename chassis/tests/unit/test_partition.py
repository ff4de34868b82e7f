"""The partition worker decides what happens to a message: handled, tried again, delayed or dead-lettered."""

import asyncio

import pytest
from structlog.contextvars import bind_contextvars
from structlog.testing import capture_logs

from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message, Unreadable
from chassis.kafka.chain import MAX_MESSAGE_BYTES
from chassis.kafka.key_queues import OVERHEAD_BYTES
from testkit import eventually

from .worker import Record, Running


@pytest.fixture(autouse=True, params=[False, True], ids=["one by one", "in runs"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test holds for both forms of a handler."""
    monkeypatch.setattr(Running, "in_runs", request.param)


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


@pytest.mark.parametrize("key", ["order-1", "k" * 1000])
async def test_a_message_that_is_too_large_reaches_no_handler(key: str) -> None:
    value = b"x" * (MAX_MESSAGE_BYTES - 700)
    running = Running([Record(1, key, value), Record(2, "order-2")], lambda _m, _run: None)
    await running.committed(3)
    assert running.handled == ([1, 2] if key == "order-1" else [2])
    reasons = [headers["x-reason"] for *_, headers in running.producer.sent]
    assert reasons == ([] if key == "order-1" else ["message_too_large"])


async def test_an_error_that_quotes_a_long_message_makes_no_long_log_line() -> None:
    def handle(_message: Message, _run: int) -> None:
        raise InvalidMessage("status_mismatch", "x" * 100_000)

    with capture_logs() as lines:
        await Running([Record(1, "a")], handle).committed(2)
    assert [len(line["error"]) for line in lines if line["event"] == "message dead-lettered"] == [500]


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


async def test_a_message_behind_one_that_is_too_early_is_given_up_with_it() -> None:
    def handle(_message: Message, _run: int) -> None:
        raise NotYet("order 1 is not known")

    running = Running([Record(offset, "early") for offset in range(1, 6)], handle, not_yet_s=0.6)
    await running.committed(6)
    assert [running.runs[offset] for offset in range(2, 6)] == [1, 1, 1, 1], "their time ran while they waited"


@pytest.mark.parametrize("key", [None, ""])
async def test_messages_without_a_key_do_not_wait_for_each_other(key: str | None) -> None:
    def handle(message: Message, _run: int) -> None:
        if message.offset % 2:
            raise NotYet("order 1 is not known yet")

    running = Running([Record(offset, key) for offset in range(1, 9)], handle)
    await eventually(lambda: running.handled == [2, 4, 6, 8])
    await running.worker.drain(2)


async def test_messages_that_wait_stop_no_fetch_before_they_fill_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.kafka.partition.MAX_WAITING_BYTES", 300 * (OVERHEAD_BYTES + 200))
    known = asyncio.Event()

    def handle(message: Message, _run: int) -> None:
        if message.key != "other" and not known.is_set():
            raise NotYet("not yet")

    records = [Record(offset, "other" if offset % 10 else str(offset)) for offset in range(1, 6001)]
    running = Running(records, handle)
    # Every tenth waits: with 300 of them the worker has fetched 3,000, and at most one fetch more.
    await eventually(lambda: len(running.handled) >= 2700)
    await eventually(lambda: running.worker.queues.size_bytes >= 300 * OVERHEAD_BYTES)
    fetched = 6000 - len(running.consumer.records)
    assert 2900 <= fetched <= 3600
    known.set()
    await eventually(lambda: len(running.handled) == 6000, 30)
    await running.committed(6001)


async def test_a_place_that_can_not_be_unpacked_is_a_dead_letter_and_the_offset_moves_past_exactly_it() -> None:
    gap = Unreadable(3, 5, "the checksum is wrong")
    running = Running([Record(2, "a"), Record(5, None, gap), Record(6, "a")], lambda _m, _run: None)
    await running.committed(7)
    assert running.handled == [2, 6]
    [(topic, value, key, headers)] = running.producer.sent
    assert (topic, value, key) == ("stock.updated.dlq", b"", None)
    assert (headers["x-reason"], headers["x-source-offset"]) == ("unreadable_record", "3")
    assert headers["x-source-last-offset"] == "5"
    assert headers["x-error"].endswith("the checksum is wrong")


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
