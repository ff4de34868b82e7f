"""A service that stops loses no request: connected clients are answered, later ones are refused."""

import asyncio
import signal
import sys
from collections import Counter

import httpx2
import pytest

from testkit import eventually, free_port

CLIENTS = 24
SERVICE = """
import asyncio, signal, sys
import uvloop
from chassis.config.settings import ServiceSettings, load
from chassis.http.probes import Readiness
from chassis.http.app import create_app
from chassis.service import Process, _supervise

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = load(ServiceSettings, http_host="127.0.0.1", http_port=int(sys.argv[1]))
    app = create_app(settings, routers=[], ready=Readiness(), title="t", description="d")
    assert await _supervise(settings, Process(app), stop)

uvloop.run(main())
"""


async def _ask_until_refused(client: httpx2.AsyncClient, url: str, seen: Counter[str]) -> None:
    while not seen["refused"]:
        try:
            answer = await client.get(url)
            seen[str(answer.status_code)] += 1
        except httpx2.ConnectError:
            seen["refused"] += 1
        except httpx2.TransportError as lost:
            seen[f"{type(lost).__name__} {lost}"] += 1


@pytest.mark.parametrize("kept", [0, CLIENTS], ids=["a new connection each time", "connections that are kept"])
async def test_every_request_is_answered_or_refused(kept: int) -> None:
    seen: Counter[str] = Counter()
    for _ in range(3):
        url = f"http://127.0.0.1:{(port := free_port())}/ping"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVICE, str(port), stdout=asyncio.subprocess.DEVNULL
        )
        async with httpx2.AsyncClient(timeout=10, limits=httpx2.Limits(max_keepalive_connections=kept)) as client:

            async def answers(client: httpx2.AsyncClient = client, url: str = url) -> bool:
                try:
                    return bool((await client.get(url)).status_code == 200)
                except httpx2.ConnectError:
                    return False

            await eventually(answers, 30)
            seen.pop("refused", None)
            asking = [asyncio.create_task(_ask_until_refused(client, url, seen)) for _ in range(CLIENTS)]
            before = seen["200"]
            await eventually(lambda before=before: seen["200"] > before + 3 * CLIENTS, 30)
            process.send_signal(signal.SIGTERM)
            await asyncio.gather(*asking)
        assert await process.wait() == 0
    assert set(seen) == {"200", "refused"}
