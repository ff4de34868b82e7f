"""Messages that are applied together: which they are, and that a run is committed, or stopped, as a whole."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from chassis import telemetry
from chassis.errors import NotYet
from chassis.events import Message, Unreadable
from chassis.failpoint import arm
from chassis.kafka.chain import MAX_MESSAGE_BYTES
from chassis.kafka.fetch import MAX_RECORDS
from testkit import eventually

from .test_telemetry import configured
from .worker import Record, Running, applying, measured, records, runs

CONSUMED, PROCESSED = "messaging_client_consumed_messages_total", "messaging_process_duration_seconds_count"


@pytest.fixture(autouse=True)
def _no_failpoints() -> Iterator[None]:
    yield
    arm("")


async def test_the_messages_of_a_fetch_are_applied_together_and_then_committed() -> None:
    before = measured(CONSUMED), measured(PROCESSED), runs("applied")
    running = Running(records(5), lambda _m, _run: None, in_runs=True)
    await running.committed(6)
    assert (running.tried_together, running.runs) == ([[1, 2, 3, 4, 5]], {})
    assert (measured(CONSUMED) - before[0], measured(PROCESSED) - before[1], runs("applied") - before[2]) == (5, 1, 1)


async def test_a_run_has_2_to_200_messages() -> None:
    running = Running(records(MAX_RECORDS + 1), lambda _m, _run: None, in_runs=True)
    await running.committed(MAX_RECORDS + 2)
    assert [len(run) for run in running.tried_together] == [200]
    assert running.runs == {201: 1}


async def test_a_message_whose_key_waits_is_in_no_run_and_the_others_close_ranks() -> None:
    known = asyncio.Event()

    def handle(message: Message, _run: int) -> None:
        if message.key == "early" and not known.is_set():
            raise NotYet("order 1 is not known yet")

    keys = ["early", "a", "b", "early", "c"]
    given = [Record(offset, key) for offset, key in enumerate(keys, start=1)]
    running = Running(given, handle, in_runs=True, fetch_size=1)
    await eventually(lambda: running.handled == [2, 3, 5])
    running.consumer._fetch_size = 10
    running.consumer.records += [Record(6, "d"), Record(7, "early"), Record(8, "e"), Record(9, "f")]
    await eventually(lambda: running.handled == [2, 3, 5, 6, 8, 9])
    assert running.tried_together == [[8, 9]], "what waits ends a run"
    assert running.consumer.commits == []
    known.set()
    await running.committed(10)
    assert running.handled[-3:] == [1, 4, 7]


async def test_what_is_unreadable_too_large_or_traced_is_in_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "tracing", configured(0.5, SpanProcessor()))
    given = records(12)
    given[3].value = Unreadable(4, 4, "the checksum is wrong")
    given[6].value = b"x" * MAX_MESSAGE_BYTES
    # Half of all ids are sampled, this one and not the others. A flag alone takes no message out of its run.
    traces = {10: "1" * 32}
    for record in given:
        flags = "01" if record.offset in (9, 10) else "00"
        trace_id = traces.get(record.offset, "a" * 32)
        record.headers += (("traceparent", f"00-{trace_id}-{'b' * 16}-{flags}".encode()),)
    # Without a trace of its own a message begins one, and chance decides whether that is recorded.
    given[10].headers = given[10].headers[:1]
    running = Running(given, lambda _m, _run: None, in_runs=True)
    await running.committed(13)
    assert running.tried_together == [[1, 2, 3], [5, 6], [8, 9]]
    assert running.runs == {10: 1, 11: 1, 12: 1}
    assert [headers["x-reason"] for *_, headers in running.producer.sent] == ["unreadable_record", "message_too_large"]


async def test_the_messages_of_a_run_have_no_more_bytes_than_one_may_have() -> None:
    given = records(5)
    for record in given:
        record.value = b"x" * (MAX_MESSAGE_BYTES * 2 // 5)
    running = Running(given, lambda _m, _run: None, in_runs=True)
    await running.committed(6)
    assert (running.tried_together, running.runs) == ([[1, 2], [3, 4]], {5: 1})


async def test_a_stopped_worker_finishes_the_run_in_flight_commits_it_and_begins_nothing() -> None:
    started, release = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    async def many(messages: Sequence[Message]) -> None:
        runs.append(len(messages))
        started.set()
        await release.wait()

    given = records(5)
    given[2].value = Unreadable(3, 3, "the checksum is wrong")
    worker, consumer = applying(many, given)
    await started.wait()
    draining = asyncio.create_task(worker.drain(5))
    release.set()
    await draining
    assert (runs, consumer.commits) == ([2], [3])


async def test_a_run_that_does_not_end_in_time_is_cancelled_and_stays_uncommitted() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def many(_messages: Sequence[Message]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    worker, consumer = applying(many, records(3))
    await started.wait()
    await worker.drain(0.1)
    assert ended.is_set()
    assert consumer.commits == []


async def test_a_worker_that_is_stopped_while_a_run_fails_begins_no_message_after_it() -> None:
    async def many(_messages: Sequence[Message]) -> None:
        worker._stop.set()
        raise ConnectionRefusedError("database")

    worker, consumer = applying(many, records(3))
    await eventually(lambda: worker._task is not None and worker._task.done())
    await worker.drain(1)
    assert consumer.commits == []


@pytest.mark.parametrize("point", ["consumer.before_handler", "consumer.after_handler"])
async def test_a_failpoint_is_hit_for_each_message_of_a_run_and_its_line_names_the_message(point: str) -> None:
    arm(f"{point}/stock.updated=delay:0@*")
    with capture_logs(processors=[merge_contextvars]) as lines:
        await Running(records(3), lambda _m, _run: None, in_runs=True).committed(4)
    hits = [(line["key"], line["offset"]) for line in lines if line["event"] == "failpoint hit"]
    assert hits == [("order-1", 1), ("order-2", 2), ("order-3", 3)]
