"""More requests than a process can work on are refused at once, and nothing is left of them."""

import asyncio
from types import SimpleNamespace

from starlette.types import Message, Receive, Scope, Send

from chassis.http.app import _app_error
from chassis.http.load import MAX_IN_WORK, Load
from chassis.http.middleware import ChassisMiddleware, error_response
from chassis.http.shortcuts import Shortcuts


def request(path: str) -> Scope:
    app = SimpleNamespace(state=SimpleNamespace(error_response=error_response))
    line = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "http_version": "1.1"}
    return {**line, "app": app}


async def test_beyond_the_limit_a_request_is_refused_at_once_and_probes_still_pass() -> None:
    gate = asyncio.Event()
    entered: list[str] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        entered.append(scope["path"])
        if scope["path"] == "/v1/slow":
            await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    load = Load(max_connections=1, max_connections_per_address=1, max_body_bytes=1)
    middleware = ChassisMiddleware(app, load, Shortcuts(), _app_error)

    async def ask(path: str) -> tuple[int, dict[bytes, bytes]]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await middleware(request(path), receive, send)
        return sent[0]["status"], dict(sent[0]["headers"])

    slow = [asyncio.create_task(ask("/v1/slow")) for _ in range(MAX_IN_WORK)]
    while len(entered) < MAX_IN_WORK:
        await asyncio.sleep(0)
    status, headers = await ask("/v1/slow")
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert load.overloaded
    assert (await ask("/ready"))[0] == 200
    gate.set()
    assert {status for status, _ in await asyncio.gather(*slow)} == {200}
    assert (await ask("/v1/slow"))[0] == 200
    assert entered.count("/v1/slow") == MAX_IN_WORK + 1
