"""The consumer on a real broker: it stays a member, notices when it is none, and loses no message to a sick server."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from chassis.db.database import Database
from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message
from chassis.kafka import group_watch
from chassis.kafka.stop_times import DRAIN_SHARE, LEAVE_SHARE
from testkit import eventually
from testkit.proxy import Proxy

from .conftest import Join, Member, Topic


def let_an_hour_pass(member: Member) -> None:
    """Let aiokafka believe that nothing has been fetched for an hour."""
    consumer: Any = member.runner._consumer
    subscription = consumer._subscription
    subscription._fetch_count = 0
    subscription._last_fetch_ended = time.monotonic() - 3600


async def test_an_outage_of_an_hour_does_not_keep_a_member_from_its_group(topic: Topic, join: Join) -> None:
    member = join()
    away, tries = [True], []

    async def handle(_message: Message) -> None:
        tries.append(1)
        if away[0]:
            raise ConnectionRefusedError("database")

    member.handle = handle
    await topic.send(b"1")
    await eventually(lambda: tries, 20)
    let_an_hour_pass(member)
    generation = member.coordinator.generation
    member.coordinator.request_rejoin()
    await eventually(lambda: member.coordinator.generation > generation, 15)
    away[0] = False
    await topic.send(b"2")
    await eventually(lambda: member.handled == [b"1", b"2"], 20)


async def test_a_member_without_partitions_takes_over_after_an_hour_of_idleness(topic: Topic, join: Join) -> None:
    first, second = join(), join()

    def settled() -> bool:
        both = first.runner._consumer and second.runner._consumer
        return (
            bool(both)
            and {first.partitions, second.partitions} == {0, 1}
            and (first.coordinator.generation == second.coordinator.generation > 0)
        )

    await eventually(settled, 20)
    active, standby = (first, second) if first.partitions else (second, first)
    let_an_hour_pass(standby)
    beats, heartbeat = [], standby.coordinator._do_heartbeat

    async def counted() -> Any:
        beats.append(1)
        return await heartbeat()

    standby.coordinator._do_heartbeat = counted
    await eventually(lambda: len(beats) > 1 or standby.coordinator.generation < 0, 15)
    await active.end()
    await topic.send(b"1")
    await eventually(lambda: standby.handled == [b"1"], 20)


def fails_once(member: Member, error: Exception) -> None:
    """Let the next try to join the group fail."""
    joining = member.coordinator._do_rejoin_group

    async def failing(_subscription: Any) -> None:
        member.coordinator._do_rejoin_group = joining
        raise error

    member.coordinator._do_rejoin_group = failing


@pytest.mark.parametrize(
    "error", [KafkaError("UnknownError() in JoinGroup's answer"), AssertionError("a defect")], ids=["told", "died"]
)
async def test_a_coordination_that_has_failed_for_good_ends_the_run(
    topic: Topic, join: Join, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_watch, "WATCH_S", 0.5)
    member = join()
    await topic.send(b"1")
    await eventually(lambda: member.handled == [b"1"], 20)
    fails_once(member, error)
    member.coordinator.request_rejoin()
    with pytest.raises(KafkaError, match=str(error)[:10]):
        await asyncio.wait_for(asyncio.shield(member.task), 15)


async def test_a_heartbeat_that_is_refused_ends_the_run_through_the_next_fetch(
    topic: Topic, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_watch, "WATCH_S", 3600)
    member = join()
    await topic.send(b"1")
    await eventually(lambda: member.handled == [b"1"], 20)

    async def refused() -> None:
        raise KafkaError("an unexpected answer")

    member.coordinator._do_heartbeat = refused
    with pytest.raises(KafkaError, match="an unexpected answer"):
        await asyncio.wait_for(asyncio.shield(member.task), 25)


async def test_a_rebalance_without_an_end_ends_the_run_when_the_broker_answers(
    topic: Topic, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_watch, "WATCH_S", 0.2)
    monkeypatch.setattr(group_watch, "UNASSIGNED_S", 1)
    member = join()
    await eventually(lambda: member.partitions == 1, 20)

    async def silent(_subscription: Any) -> bool:
        await member.coordinator._closing
        return False

    member.coordinator._do_rejoin_group = silent
    member.coordinator.request_rejoin()
    with pytest.raises(RuntimeError, match="has assigned nothing"):
        await asyncio.wait_for(asyncio.shield(member.task), 15)


async def test_a_broker_that_goes_away_in_a_rebalance_is_waited_for(
    topic: Topic, join: Join, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_watch, "WATCH_S", 0.2)
    monkeypatch.setattr(group_watch, "UNASSIGNED_S", 1)
    member = join(proxy.address)
    await eventually(lambda: member.partitions == 1, 20)
    drain = member.runner.drain

    async def drain_and_lose_the_broker(partitions: list[Any]) -> None:
        await drain(partitions)
        await proxy.refuse()

    monkeypatch.setattr(member.runner, "drain", drain_and_lose_the_broker)
    member.coordinator.request_rejoin()
    gone = time.monotonic()
    await eventually(lambda: member.task.done() or time.monotonic() > gone + 4)
    assert not member.task.done()
    assert member.partitions == 0
    monkeypatch.setattr(member.runner, "drain", drain)
    await proxy.restore()
    await topic.send(b"1")
    await eventually(lambda: member.handled == [b"1"], 30)


@pytest.mark.parametrize(
    ("sqlstate", "what"),
    [
        ("53100", "disk full"),
        ("28P01", "wrong password"),
        ("42P01", "no such table"),
        ("40P01", "deadlock"),
    ],
)
async def test_a_database_that_can_not_serve_costs_no_message(
    topic: Topic, join: Join, database: Database, sqlstate: str, what: str
) -> None:
    member = join(consumer_max_tries=2)
    runs: list[bytes | None] = []

    async def handle(message: Message) -> None:
        runs.append(message.value)
        async with database.transaction() as tx:
            if len(runs) <= 3:
                await tx.driver().execute(f"DO $$ BEGIN RAISE EXCEPTION '{what}' USING ERRCODE = '{sqlstate}'; END $$")

    member.handle = handle
    await topic.send(b"1", b"order-1")
    await topic.send(b"2", b"order-2")
    await eventually(lambda: member.handled == [b"1", b"2"], 40)
    assert runs == [b"1"] * 4 + [b"2"]
    assert await topic.dead_letters() == []


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("SELECT 1 / 0", id="data exception"),
        pytest.param("INSERT INTO small VALUES (1), (1)", id="unique violation"),
        pytest.param("INSERT INTO small VALUES (-1)", id="check violation"),
    ],
)
async def test_values_that_the_database_refuses_are_the_messages_fault_and_delay_nobody_else(
    topic: Topic, join: Join, database: Database, sql: str
) -> None:
    async with database.driver() as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS small (id int PRIMARY KEY CHECK (id > 0))")
    member = join(consumer_max_tries=2)

    async def handle(message: Message) -> None:
        async with database.transaction() as tx:
            if message.value == b"bad":
                await tx.driver().execute(sql)

    member.handle = handle
    await topic.send(b"bad", b"order-1")
    await topic.send(b"good", b"order-2")
    await eventually(lambda: member.handled == [b"good"], 20)
    [letter] = await eventually(topic.dead_letters, 20)
    assert (letter.value, dict(letter.headers)["x-reason"]) == (b"bad", b"handler_failed")
    assert dict(letter.headers)["x-attempts"] == b"2"


async def test_a_poison_message_as_large_as_the_broker_takes_reaches_its_dead_letter_topic(
    topic: Topic, join: Join
) -> None:
    member = join()

    async def handle(message: Message) -> None:
        if (message.value or b"").startswith(b"!"):
            raise InvalidMessage("invalid_json", "value: not JSON")

    member.handle = handle
    poison = b"!" + bytes(1_048_400)
    await topic.send(poison)
    await topic.send(b"ok", b"order-2")
    await eventually(lambda: member.handled == [b"ok"], 20)
    [letter] = await topic.dead_letters()
    assert (letter.value == poison, letter.key) == (True, b"order-1")


async def test_a_poison_message_with_neither_key_nor_value_reaches_its_dead_letter_topic(
    topic: Topic, join: Join
) -> None:
    """aiokafka sends no such record, so it is written as an empty value."""
    member = join()

    async def handle(message: Message) -> None:
        if not message.value:
            raise InvalidMessage("null_value", "the message has no value")

    member.handle = handle
    await topic.send(None, None)
    await topic.send(b"ok")
    await eventually(lambda: member.handled == [b"ok"], 20)
    [letter] = await topic.dead_letters()
    assert (letter.value, letter.key) == (b"", None)
    assert dict(letter.headers)["x-reason"] == b"null_value"


async def test_offsets_of_what_was_done_are_kept_when_the_member_leaves(topic: Topic, join: Join) -> None:
    member = join()

    async def handle(message: Message) -> None:
        if message.value == b"early":
            raise NotYet("order 1 is not known here")

    member.handle = handle
    await topic.send(b"1")
    await topic.send(b"early", b"order-2")
    await topic.send(b"3", b"order-3")
    await eventually(lambda: member.handled == [b"1", b"3"], 20)
    await member.end()
    assert await topic.committed(f"g-{topic.name}") == 1
    again = join()
    await eventually(lambda: again.handled == [b"early", b"3"], 20)


async def test_a_member_that_is_stopped_during_a_rebalance_does_not_wait_for_the_rebalances_drain(
    topic: Topic, join: Join
) -> None:
    member = join(shutdown_timeout_s=4)
    started, ended = asyncio.Event(), asyncio.Event()

    async def handle(_message: Message) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    member.handle = handle
    await topic.send(b"1")
    await asyncio.wait_for(started.wait(), 20)
    member.coordinator.request_rejoin()
    await eventually(lambda: not any(worker.is_running for worker in member.runner._workers.values()), 10)
    member.stop.set()
    await asyncio.wait_for(asyncio.shield(member.task), 4 * (DRAIN_SHARE + LEAVE_SHARE) + 1)
    assert ended.is_set()
    assert await topic.members(f"g-{topic.name}") == 0
