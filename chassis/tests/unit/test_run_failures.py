"""An error among messages that are applied together: it means for each of them what it means without runs."""

from collections.abc import Iterator, Sequence

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message
from chassis.failpoint import arm
from testkit import eventually
from testkit.properties import examples

from .worker import TP, Record, Running, applying, records, runs


@pytest.fixture(autouse=True)
def _no_failpoints() -> Iterator[None]:
    yield
    arm("")


@pytest.fixture
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.kafka.retry.backoff", lambda *_: 0.0)
    monkeypatch.setattr("chassis.kafka.chain.backoff", lambda *_: 0.0)


@pytest.mark.parametrize("position", range(1, 6))
async def test_a_poison_message_at_any_place_of_a_run_is_a_dead_letter_and_the_others_are_applied(
    position: int,
) -> None:
    def handle(message: Message, _run: int) -> None:
        if message.offset == position:
            raise InvalidMessage("invalid_json", "value: not JSON")

    running = Running(records(5), handle, in_runs=True)
    await running.committed(6)
    assert running.handled == [offset for offset in range(1, 6) if offset != position]
    assert running.runs == dict.fromkeys(range(1, 6), 1), "each is tried once"
    [(topic, _, key, headers)] = running.producer.sent
    assert (topic, key) == ("stock.updated.dlq", f"order-{position}".encode())
    assert (headers["x-reason"], headers["x-attempts"]) == ("invalid_json", "1")


@pytest.mark.parametrize(
    ("error", "tries", "letter"),
    [
        (InvalidMessage("invalid_payload", "no"), 1, {"x-reason": "invalid_payload", "x-attempts": "1"}),
        (ValueError("a defect"), 3, {"x-reason": "handler_failed", "x-attempts": "3"}),
        (asyncpg.CheckViolationError("stock"), 3, {"x-reason": "handler_failed", "x-attempts": "3"}),
        (NotYet("order 2 is not known"), 4, {}),
        (ConnectionRefusedError("database"), 4, {}),
        (TimeoutError("no connection"), 4, {}),
        (asyncpg.DeadlockDetectedError("deadlock"), 4, {}),
        (asyncpg.SerializationError("conflict"), 4, {}),
    ],
)
@pytest.mark.usefixtures("_no_backoff")
async def test_each_class_of_failure_means_for_its_message_what_it_means_without_runs(
    error: Exception, tries: int, letter: dict[str, str]
) -> None:
    """Those that end by themselves do so at the fourth try."""

    def handle(message: Message, run: int) -> None:
        if message.offset == 2 and (letter or run < 4):
            raise error

    running = Running(records(3), handle, in_runs=True)
    await running.committed(4)
    assert running.runs == {1: 1, 2: tries, 3: 1}
    assert sorted(running.handled) == ([1, 3] if letter else [1, 2, 3])
    letters = [headers for *_, headers in running.producer.sent]
    assert [{name: headers[name] for name in letter} for headers in letters] == ([letter] if letter else [])


async def test_an_error_that_only_a_run_has_costs_its_messages_no_try() -> None:
    before = runs("split")

    async def many(_messages: Sequence[Message]) -> None:
        raise asyncpg.DeadlockDetectedError("deadlock detected" + "!" * 10_000)

    with capture_logs() as lines:
        worker, consumer = applying(many, records(3, first=7))
        await eventually(lambda: consumer.commits == [10])
        await worker.drain(2)
    [line] = [line for line in lines if line["event"] == "messages are applied one by one"]
    assert (line["topic"], line["partition"], line["offset"], line["messages"]) == (TP.topic, 0, 7, 3)
    assert len(line["error"]) == 500
    assert runs("split") - before == 1


@pytest.mark.parametrize(("point", "once"), [("before_handler", True), ("after_handler", False)])
async def test_a_run_that_fails_at_a_failpoint_is_done_one_by_one(point: str, once: bool) -> None:
    """After the handler the run is committed: the second time it is the inbox that keeps the messages apart."""
    arm(f"consumer.{point}=raise@2")
    running = Running(records(3), lambda _m, _run: None, in_runs=True)
    await running.committed(4)
    assert running.handled == [1, 2, 3] * (1 if once else 2)
    assert running.runs == {1: 1, 2: 1, 3: 1}


class Trouble:
    """What goes wrong with a message: `kind` at its first `tries` tries, of which a run is one."""

    def __init__(self, kind: str, tries: int) -> None:
        self.kind, self.tries = kind, tries

    def strike(self, run: int) -> None:
        if self.kind == "poison":
            raise InvalidMessage("invalid_json", "value: not JSON")
        if run <= self.tries and self.kind != "none":
            raise {"early": NotYet("not yet"), "defect": ValueError("no"), "outage": OSError("away")}[self.kind]

    def __repr__(self) -> str:
        return f"{self.kind} {self.tries}"


troubles = st.builds(
    Trouble, st.sampled_from(["none"] * 9 + ["poison", "early", "defect", "outage"]), st.integers(1, 4)
)
messages = st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d", "e", None]), troubles), min_size=1, max_size=25)


@examples(60)
@given(messages, st.integers(1, 10))
async def test_whatever_goes_wrong_the_end_is_the_same_as_one_by_one_and_each_key_keeps_its_order(
    given: list[tuple[str | None, Trouble]], fetch_size: int
) -> None:
    outcomes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chassis.kafka.retry.backoff", lambda *_: 0.0)
        patch.setattr("chassis.kafka.chain.backoff", lambda *_: 0.0)
        for in_runs in (False, True):
            arriving = [Record(offset, key) for offset, (key, _) in enumerate(given, start=1)]

            def handle(message: Message, run: int) -> None:
                given[message.offset - 1][1].strike(run)

            running = Running(arriving, handle, in_runs=in_runs, fetch_size=fetch_size)
            await running.committed(len(given) + 1)
            letters = sorted(
                (headers["x-source-offset"], headers["x-attempts"]) for *_, headers in running.producer.sent
            )
            by_key = {key: [o for o in running.handled if given[o - 1][0] == key] for key in "abcde"}
            assert all(offsets == sorted(offsets) for offsets in by_key.values())
            outcomes.append((letters, sorted(running.handled)))
    assert outcomes[0] == outcomes[1]
