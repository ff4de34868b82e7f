"""The relay at rest: one look at the outbox says what is due and sets the gauges."""

from collections.abc import Callable

import asyncpg
import pytest
from prometheus_client import REGISTRY

from chassis.db import backlog, outbox
from chassis.db.database import Database
from chassis.kafka import relay as relay_module
from chassis.loops import Task
from testkit import eventually

from .relay_bench import AWAY, Bench

NEVER_S = 600


async def test_an_event_that_backs_off_is_sent_at_its_time_whatever_the_poll(
    bench: Bench, run: Callable[[Task], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_S", NEVER_S)
    bench.producer.errors["a"] = ValueError("refused")
    run(bench.relay())
    await bench.publish("a1")

    async def failed() -> bool:
        return bool((await bench.row("a1"))["attempts"] == 1)

    await eventually(failed)
    bench.producer.errors.clear()
    await eventually(lambda: bench.producer.sent == ['"a1"'], 10)


async def test_a_look_says_how_old_the_oldest_event_is_that_is_not_parked(bench: Bench) -> None:
    assert (await outbox.counts(bench.session)).oldest_age_s == 0
    await bench.publish("a1", "b1", "c1")
    await bench.change("created_at = now() - interval '300 s', parked_at = now(), next_attempt_at = now()", "a1")
    await bench.change("created_at = now() - interval '200 s', next_attempt_at = now() + interval '1 hour'", "b1")
    await bench.change("created_at = now() - interval '100 s'", "c1")
    assert 200 <= (await outbox.counts(bench.session)).oldest_age_s < 230
    await bench.change("published_at = now()", "b1")
    assert 100 <= (await outbox.counts(bench.session)).oldest_age_s < 130


async def test_a_look_says_when_the_next_event_is_due(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await outbox.counts(bench.session)).due_in_s is None
    await bench.publish("a1", "b1")
    assert (await outbox.counts(bench.session)).due_in_s == 0
    await bench.change("next_attempt_at = now() + interval '50 s'", "a1")
    await bench.change("next_attempt_at = now() + interval '20 s', parked_at = now()", "b1")
    counts = await outbox.counts(bench.session)
    assert (counts.pending, counts.parked) == (1, 1)
    assert counts.due_in_s is not None
    assert 15 < counts.due_in_s <= 20
    monkeypatch.setattr(outbox, "COUNT_LIMIT", 1)
    assert (await outbox.counts(bench.session)).due_in_s == 0, "what is behind the limit may be due"
    monkeypatch.undo()
    await bench.change("published_at = now()", "b1")
    await bench.change("next_attempt_at = now() - interval '1 s'", "a1")
    due_in_s = (await outbox.counts(bench.session)).due_in_s
    assert due_in_s is not None
    assert due_in_s <= -1


async def test_a_relay_at_rest_sets_the_gauges_and_leaves_the_loop_nothing_to_count(
    bench: Bench, run: Callable[[Task], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_S", 0.1)
    looks: list[object] = []
    look = backlog.look

    async def seen(db: Database, connection: asyncpg.Connection) -> float | None:
        due_in_s = await look(db, connection)
        looks.append(connection)
        return due_in_s

    monkeypatch.setattr(backlog, "look", seen)
    bench.producer.errors["a"] = AWAY
    await bench.publish("a1", "b1")
    await bench.change("next_attempt_at = now() + interval '1 hour', parked_at = now()")
    run(bench.relay())
    await eventually(lambda: looks)
    # From here on a count is never as old as the loop allows.
    run(backlog.loop(bench.db))
    await eventually(lambda: REGISTRY.get_sample_value("gocommerce_outbox_parked") == 2)
    await eventually(lambda: len(looks) > 5)
    assert len(set(looks)) == 1, "all looks were on the relay's session"


async def test_the_loop_counts_while_the_relay_is_busy(
    bench: Bench, run: Callable[[Task], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "REPORT_S", 0.2)
    await bench.publish("a1")
    await bench.change("next_attempt_at = now() + interval '1 hour'")
    run(backlog.loop(bench.db))
    await eventually(lambda: REGISTRY.get_sample_value("gocommerce_outbox_pending") == 1)
    await bench.change("published_at = now()")
    await eventually(lambda: REGISTRY.get_sample_value("gocommerce_outbox_pending") == 0)
