"""One relay publishes at a time; another takes over when it dies, freezes or loses its session."""

import signal

import pytest

from chassis.kafka.relay import BATCH
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.logs import LogTail, metric
from tests.chaos.kit.outboxes import end_relay_session, numbered_events, relay_sessions

ACTIVE = "relay is active"
LOST = "relay lost its database session"
PUBLISHED = "messaging_client_sent_messages_total"
SLOW = {"FAILPOINTS": "relay.after_send=delay:0.1@*"}


@pytest.mark.fault(6)
async def test_of_two_relays_one_sends_and_the_other_goes_on_in_order_when_it_is_killed(arena: Arena) -> None:
    async with numbered_events(arena) as events:
        async with arena.replaced("orderfc", SLOW) as first, arena.replica("orderfc", command="worker") as second:
            await events.put(12_000, keys=10)
            await events.published(at_least=100)
            assert len(await relay_sessions(arena, "orderfc")) == 1
            assert await metric(arena, second.url, PUBLISHED) == 0
            first.process.kill()
            await events.published()
            assert 0 < await metric(arena, second.url, PUBLISHED, messaging_destination_name=events.topic) <= 11_900
        # The killed relay has sent and not marked at most the events of two rounds, which are fewer than a poll reads.
        assert await events.duplicates() <= BATCH
    arena.healed()
    await arena.exact()


@pytest.mark.fault(7)
async def test_a_relay_that_was_frozen_while_another_took_over_marks_nothing_and_stands_by(arena: Arena) -> None:
    async with numbered_events(arena) as events:
        async with arena.replaced("orderfc", SLOW) as first, arena.replica("orderfc", command="worker") as second:
            tail = LogTail.of(arena, "orderfc")
            await events.put(12_000, keys=10)
            await events.published(at_least=100)
            first.signal(signal.SIGSTOP)
            holder = await end_relay_session(arena, "orderfc")
            await tail.wait(ACTIVE)
            await events.published()
            assert await metric(arena, second.url, PUBLISHED, messaging_destination_name=events.topic) > 0
            marks = await events.marks()
            first.signal(signal.SIGCONT)
            await tail.wait(LOST)
            await events.put(100, keys=10)
            await events.published()
            assert await relay_sessions(arena, "orderfc") == [holder]
            assert (await events.marks())[: len(marks)] == marks
            both = [
                await metric(arena, each.url, PUBLISHED, messaging_destination_name=events.topic)
                for each in (first, second)
            ]
        # What the frozen relay had sent and not marked, before it was stopped and after it continued.
        duplicates = await events.duplicates()
        assert duplicates <= 2 * BATCH
        assert 12_100 <= sum(both) <= 12_100 + duplicates, "each was acknowledged, and what was sent twice counts twice"
    arena.healed()
    await arena.exact()


@pytest.mark.fault(87)
async def test_a_relay_that_is_frozen_with_its_lock_is_replaced_by_one_that_runs(arena: Arena) -> None:
    async with numbered_events(arena) as events:
        async with arena.replaced("orderfc", SLOW) as first, arena.replica("orderfc", command="worker") as second:
            tail = LogTail.of(arena, "orderfc")
            await events.put(300, keys=10)
            await events.published(at_least=50)
            first.signal(signal.SIGSTOP)
            await events.put(100, keys=10)
            # The session of the frozen relay is ended after ten seconds without a statement.
            await events.published(deadline_s=25)
            assert await metric(arena, second.url, PUBLISHED, messaging_destination_name=events.topic) > 0
            first.signal(signal.SIGCONT)
            await tail.wait(LOST)
        assert await events.duplicates() <= 20
    arena.healed()
    await arena.exact()


@pytest.mark.fault(14)
async def test_events_of_a_process_that_has_no_relay_are_found_by_the_relay_of_another(arena: Arena) -> None:
    port = {"HTTP_PORT": str(arena.stack.layout.port("orderfc"))}
    async with (
        arena.stopped("orderfc"),
        arena.replica("orderfc", port, command="api"),
        arena.replica("orderfc", command="worker"),
    ):
        _, order = await arena.placed()
        await arena.complete(order)
    await arena.exact()


@pytest.mark.fault(14)
async def test_a_relay_whose_session_is_ended_opens_another_and_sends_what_nobody_woke_it_for(arena: Arena) -> None:
    async with numbered_events(arena) as events:
        for _ in range(3):
            await end_relay_session(arena, "orderfc")
            await events.put(30, keys=3)
            await events.published()
        arena.healed()
        assert len(await relay_sessions(arena, "orderfc")) == 1
        await events.duplicates()
    _, order = await arena.placed()
    await arena.complete(order)
    await arena.exact()
