"""The supervisor: nothing dies in silence, and everything stops in order."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from structlog.testing import capture_logs

from chassis.config.settings import ServiceSettings, load
from chassis.http.app import create_app
from chassis.http.probes import Readiness
from chassis.resources import close_all
from chassis.service import Process, _supervise
from testkit import eventually, free_port


@dataclass(frozen=True)
class Part:
    """A background task of one function."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]


def settings() -> ServiceSettings:
    return load(ServiceSettings, http_host="127.0.0.1", http_port=free_port(), shutdown_timeout_s=5)


def parts(configuration: ServiceSettings) -> Process:
    return Process(create_app(configuration, routers=[], ready=Readiness(), title="t", description="d"))


async def test_a_part_that_ends_by_itself_takes_the_service_down() -> None:
    async def dies(_stop: asyncio.Event) -> None:
        raise ZeroDivisionError

    async def lives(stop: asyncio.Event) -> None:
        await stop.wait()

    configuration = settings()
    service = parts(configuration)
    service.tasks = [Part("dies", dies), Part("lives", lives)]
    stopped = await asyncio.wait_for(_supervise(configuration, service, asyncio.Event()), 10)
    assert stopped is False


async def test_garbage_is_collected_while_the_parts_run_also_when_it_was_not_during_the_start() -> None:
    collected: list[bool] = []

    async def looks(_stop: asyncio.Event) -> None:
        collected.append(gc.isenabled())

    configuration = settings()
    service = parts(configuration)
    service.tasks = [Part("looks", looks)]
    before = gc.get_threshold()
    gc.disable()
    try:
        await asyncio.wait_for(_supervise(configuration, service, asyncio.Event()), 10)
    finally:
        gc.enable()
        gc.unfreeze()
        gc.set_threshold(*before)
    assert collected == [True]


async def test_asked_to_stop_the_workers_end_first_and_the_relay_last() -> None:
    ended: list[str] = []
    running = asyncio.Event()

    async def consumer(stop: asyncio.Event) -> None:
        running.set()
        await stop.wait()
        ended.append("consumer")

    async def relay(stop: asyncio.Event) -> None:
        await stop.wait()
        ended.append("relay")

    configuration = settings()
    service = parts(configuration)
    service.tasks, service.last = [Part("consumer", consumer)], [Part("relay", relay)]
    stop = asyncio.Event()
    supervised = asyncio.create_task(_supervise(configuration, service, stop))
    await running.wait()
    stop.set()
    assert await asyncio.wait_for(supervised, 10) is True
    assert ended == ["consumer", "relay"]


async def test_a_part_that_does_not_stop_is_ended_when_the_time_is_over() -> None:
    cancelled = asyncio.Event()

    async def stubborn(_stop: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    configuration = load(ServiceSettings, http_host="127.0.0.1", http_port=free_port(), shutdown_timeout_s=1)
    service = parts(configuration)
    service.tasks = [Part("stubborn", stubborn)]
    stop = asyncio.Event()
    stop.set()
    assert await asyncio.wait_for(_supervise(configuration, service, stop), 10) is False
    await eventually(cancelled.is_set)


async def test_a_part_that_ignores_even_its_cancellation_does_not_hold_the_stop_up() -> None:
    let_go = asyncio.Event()

    async def deaf(_stop: asyncio.Event) -> None:
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()

    configuration = load(ServiceSettings, http_host="127.0.0.1", http_port=free_port(), shutdown_timeout_s=1)
    service = parts(configuration)
    service.tasks = [Part("deaf", deaf)]
    stop = asyncio.Event()
    stop.set()
    assert await asyncio.wait_for(_supervise(configuration, service, stop), 10) is False
    let_go.set()


async def test_a_part_that_fails_while_it_stops_is_told_of() -> None:
    async def fails(stop: asyncio.Event) -> None:
        await stop.wait()
        raise ZeroDivisionError

    configuration = settings()
    service = parts(configuration)
    service.tasks = [Part("fails", fails)]
    stop = asyncio.Event()
    stop.set()
    with capture_logs() as logs:
        await asyncio.wait_for(_supervise(configuration, service, stop), 10)
    assert [entry["part"] for entry in logs if entry["log_level"] == "error"] == ["fails"]


async def test_what_hangs_while_it_closes_keeps_nothing_else_from_closing() -> None:
    closed: list[str] = []

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        raise OSError("no")

    async def closes() -> None:
        closed.append("pool")

    service = parts(settings())
    service.close = [closes, hangs, fails, closes]
    await asyncio.wait_for(close_all(service.close), 10)
    assert closed == ["pool", "pool"]


async def test_nothing_is_consumed_or_sent_before_the_database_is_migrated() -> None:
    migrated, started, checks = asyncio.Event(), asyncio.Event(), 0

    async def check() -> None:
        nonlocal checks
        checks += 1
        if not migrated.is_set():
            raise RuntimeError("database is at revision None")

    async def consumer(stop: asyncio.Event) -> None:
        started.set()
        await stop.wait()

    configuration = settings()
    service = parts(configuration)
    service.app.state.readiness = Readiness(check)
    service.tasks, service.last = [Part("consumer", consumer)], [Part("relay", consumer)]
    stop = asyncio.Event()
    supervised = asyncio.create_task(_supervise(configuration, service, stop))
    await eventually(lambda: checks >= 2)
    assert not started.is_set()
    migrated.set()
    await asyncio.wait_for(started.wait(), 10)
    stop.set()
    assert await asyncio.wait_for(supervised, 10) is True


async def test_a_service_that_waits_for_its_database_stops_when_it_is_told_to() -> None:
    checked = asyncio.Event()

    async def check() -> None:
        checked.set()
        raise RuntimeError("database is at revision None")

    configuration = settings()
    service = parts(configuration)
    service.app.state.readiness = Readiness(check)
    service.tasks = [Part("consumer", lambda _: asyncio.sleep(0))]
    stop = asyncio.Event()
    supervised = asyncio.create_task(_supervise(configuration, service, stop))
    await checked.wait()
    stop.set()
    assert await asyncio.wait_for(supervised, 10) is True
