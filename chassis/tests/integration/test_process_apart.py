"""HTTP_PROCESSES: a process by itself, in the log, and when it hangs and the first one is gone."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import httpx2
import pytest

from testkit import eventually

from .group import are_gone, group


async def test_when_the_first_process_is_killed_one_that_hangs_ends_and_frees_the_port(tmp_path: Path) -> None:
    async with group(tmp_path, SHUTDOWN_TIMEOUT_S="2") as service:
        [other] = service.others()
        async with service.connected_to(other) as client:
            blocked = asyncio.create_task(client.get("/v1/block/600000"))
            await eventually((tmp_path / f"block-{other}").exists)
            os.kill(service.first, signal.SIGKILL)
            await eventually(lambda: are_gone([other]), 20)
            with pytest.raises(httpx2.TransportError):
                await blocked
        with socket.create_server(("127.0.0.1", httpx2.URL(service.url).port or 0)):
            pass


async def test_each_line_of_the_log_names_its_process(tmp_path: Path) -> None:
    async with group(tmp_path) as service:
        [other] = service.others()
        numbers = {service.first: 1, other: 2}
        for pid in numbers:
            async with service.connected_to(pid) as client:
                assert (await client.get("/v1/pid")).json() == pid
        await service.stop()
        for event in ("started", "request", "stopped"):
            assert {line["process"] for line in service.lines() if line["event"] == event} == {1, 2}
        assert all(line["process"] in numbers.values() for line in service.lines())
