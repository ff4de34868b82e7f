"""A member of a consumer group through outages, rebalances, refused heartbeats and a stop."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka.errors import KafkaError

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
