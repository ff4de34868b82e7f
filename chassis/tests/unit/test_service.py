"""The supervisor: nothing dies in silence, and everything stops in order."""

import asyncio

from chassis.config import ServiceSettings, load
from chassis.health import Readiness
from chassis.http import create_app
from chassis.service import Parts, _supervise
from chassis.testing import eventually, free_port


def settings() -> ServiceSettings:
    return load(ServiceSettings, http_host="127.0.0.1", http_port=free_port(), shutdown_timeout_s=5)


def parts(configuration: ServiceSettings) -> Parts:
    return Parts(create_app(configuration, routers=[], ready=Readiness(), title="t", description="d"))


async def test_a_part_that_ends_by_itself_takes_the_service_down() -> None:
    async def dies(_stop: asyncio.Event) -> None:
        raise ZeroDivisionError

    async def lives(stop: asyncio.Event) -> None:
        await stop.wait()

    configuration = settings()
    service = parts(configuration)
    service.tasks = [("dies", dies), ("lives", lives)]
    stopped = await asyncio.wait_for(_supervise(configuration, service, asyncio.Event(), worker_only=False), 10)
    assert stopped is False


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
    service.tasks, service.last = [("consumer", consumer)], [("relay", relay)]
    stop = asyncio.Event()
    supervised = asyncio.create_task(_supervise(configuration, service, stop, worker_only=False))
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
    service.tasks = [("stubborn", stubborn)]
    stop = asyncio.Event()
    stop.set()
    assert await asyncio.wait_for(_supervise(configuration, service, stop, worker_only=False), 10) is False
    await eventually(cancelled.is_set)
