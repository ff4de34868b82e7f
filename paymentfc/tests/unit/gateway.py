"""The Xendit client with a function as its server, and an invoice and a draft to play with."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Protocol

import httpx2
from aiohttp import web

from paymentfc.client.xendit import Draft, Xendit
from paymentfc.events import Line

INVOICE = {
    "id": "6748105a77f16ebe0cc583a7",
    "external_id": "order-7",
    "status": "PENDING",
    "amount": 150000,
    "currency": "IDR",
    "expiry_date": "2026-11-29T06:40:26.353Z",
    "created": "2026-11-28T06:40:26.508Z",
    "invoice_url": "https://x/web/1",
}

Answer = Callable[[httpx2.Request], httpx2.Response]


class Client(Protocol):
    """Makes a client whose server is a function. Where it raises, the connection ends without an answer."""

    def __call__(self, answer: Answer, *, allow_http: bool = False) -> Xendit: ...


@asynccontextmanager
async def clients() -> AsyncIterator[Client]:
    """Make clients, each with a server on the loopback."""
    made: list[tuple[Xendit, asyncio.Task[None]]] = []

    def client(answer: Answer, *, allow_http: bool = False) -> Xendit:
        listener = socket.create_server(("127.0.0.1", 0))
        xendit = Xendit(f"http://127.0.0.1:{listener.getsockname()[1]}/", "xnd_key", allow_http=allow_http)
        made.append((xendit, asyncio.create_task(_serve(listener, answer))))
        return xendit

    yield client
    for xendit, server in made:
        await xendit.close()
        server.cancel()
    await asyncio.gather(*(server for _, server in made), return_exceptions=True)


async def _serve(listener: socket.socket, answer: Answer) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        url = f"http://{request.host}{request.raw_path}"
        asked = httpx2.Request(request.method, url, headers=list(request.headers.items()), content=await request.read())
        try:
            return await _written(answer(asked), request)
        except (httpx2.HTTPError, ConnectionError):
            if request.transport:
                request.transport.close()
            raise

    runner = web.Server(handle, access_log=None)
    server = await asyncio.get_running_loop().create_server(runner, sock=listener)
    try:
        await server.serve_forever()
    finally:
        await runner.shutdown(0)


async def _written(made: httpx2.Response, request: web.BaseRequest) -> web.StreamResponse:
    headers = [(name, value) for name, value in made.headers.multi_items() if name != "transfer-encoding"]
    answer = web.StreamResponse(status=made.status_code, headers=headers)
    assert isinstance(made.stream, httpx2.AsyncByteStream), "a body is read by a loop"
    try:
        await answer.prepare(request)
        async for chunk in made.stream:
            await answer.write(chunk)
    finally:
        await made.stream.aclose()
    await answer.write_eof()
    return answer


def answering(status: int, **body: Any) -> Answer:
    return lambda _: httpx2.Response(status, **body)


def draft(lines: int = 1, amount: str = "150000.00", **change: Any) -> Draft:
    items = [Line(product_id=number + 1, name="Kopi", quantity=1, price=Decimal(1)) for number in range(lines)]
    fields = {
        "external_id": "order-7",
        "amount": Decimal(amount),
        "currency": "IDR",
        "duration_s": 86400,
        "payer_email": "a@example.com",
        "lines": items,
    }
    return Draft(**{**fields, **change})
