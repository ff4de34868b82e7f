"""Stands in for Xendit in a measurement, where the simulator would take a good part of the machine.

It keeps invoices in memory, answers the calls that paymentfc makes, and pays an invoice as soon as it is made, with its
callback, while that is switched on. `/_sim/invoices` is for the audit.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from bench.speed.load import http_request

CALLERS = 16
# A callback that is not answered with 2xx is sent again after this pause, so often.
PAUSE_S, TRIES = 0.2, 50

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Invoices:
    """The account's invoices, in the order of their making."""

    def __init__(self) -> None:
        self.by_id: dict[str, dict[str, Any]] = {}
        self._numbers = count(1)

    def make(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = f"{next(self._numbers):024x}"
        now = datetime.now(UTC)
        until = now + timedelta(seconds=asked.get("invoice_duration", 86_400))
        self.by_id[number] = {
            "id": number,
            "external_id": asked["external_id"],
            "status": "PENDING",
            "amount": asked["amount"],
            "currency": asked["currency"],
            "invoice_url": f"http://127.0.0.1/web/{number}",
            "expiry_date": _stamp(until),
            "created": _stamp(now),
            "updated": _stamp(now),
        }
        return self.by_id[number]

    def pay(self, invoice: dict[str, Any]) -> None:
        paid = {"status": "PAID", "paid_amount": invoice["amount"], "payment_id": f"pay-{invoice['id']}"}
        invoice.update(paid, updated=_stamp(datetime.now(UTC)))

    def of_order(self, external_id: str) -> list[dict[str, Any]]:
        return [one for one in reversed(self.by_id.values()) if one["external_id"] == external_id]

    def listed(self) -> Iterator[dict[str, Any]]:
        """Yield all invoices as the simulator lists them."""
        for one in reversed(self.by_id.values()):
            payments = [{"paid_amount": one["paid_amount"]}] if "paid_amount" in one else []
            yield {**one, "payments": payments}


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def callback(invoice: dict[str, Any], token: str) -> bytes:
    """Write out the callback of an invoice."""
    body = {name: value for name, value in invoice.items() if name not in ("invoice_url", "expiry_date", "payments")}
    return http_request("POST", "/v1/payments/xendit/webhook", {"x-callback-token": token}, json.dumps(body).encode())


class Callbacks:
    """Delivers callbacks over kept connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._callers: list[asyncio.Task[None]] = []
        self._connections: dict[int, Connection] = {}

    def add(self, request: bytes) -> None:
        self._callers = self._callers or [asyncio.create_task(self._call(number)) for number in range(CALLERS)]
        self._waiting.put_nowait(request)

    async def close(self) -> None:
        """End the deliveries."""
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        for _, writer in self._connections.values():
            writer.close()

    async def _call(self, number: int) -> None:
        while True:
            request = await self._waiting.get()
            for _ in range(TRIES):
                if await self._delivered(number, request):
                    break
                await asyncio.sleep(PAUSE_S)

    async def _delivered(self, number: int, request: bytes) -> bool:
        """Send a callback over the caller's connection, which is opened when there is none; whether it was taken."""
        try:
            if number not in self._connections:
                self._connections[number] = await asyncio.open_connection("127.0.0.1", self._port)
            return await _sent(self._connections[number], request)
        except (OSError, EOFError, ValueError):
            if number in self._connections:
                self._connections.pop(number)[1].close()
            return False


async def _sent(connection: Connection, request: bytes) -> bool:
    """Send a request, read its answer, and return whether that is 2xx."""
    reader, writer = connection
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
    return head.split(b" ", 2)[1].startswith(b"2")


class StandIn:
    """The application."""

    def __init__(self, callback_port: int, token: str) -> None:
        self._invoices = Invoices()
        self._callbacks = Callbacks(callback_port)
        self._token = token
        self._pays = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = await self._answer(scope["method"], scope["path"], scope["query_string"].decode(), receive)
        content = json.dumps(body).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def close(self) -> None:
        await self._callbacks.close()

    async def _answer(self, method: str, path: str, query: str, receive: Receive) -> tuple[int, Any]:
        invoices = self._invoices
        if path.startswith("/_"):
            return self._control(path)
        if (method, path) == ("POST", "/v2/invoices"):
            return 200, self._made(json.loads(await _body(receive)))
        if path == "/v2/invoices":
            return 200, invoices.of_order(parse_qs(query).get("external_id", [""])[0])
        invoice = invoices.by_id.get(path.removesuffix("/expire!").rsplit("/", 1)[-1])
        if invoice is None:
            return 404, {"error_code": "INVOICE_NOT_FOUND_ERROR", "message": "no such invoice"}
        if path.endswith("/expire!") and invoice["status"] == "PENDING":
            invoice.update(status="EXPIRED", updated=_stamp(datetime.now(UTC)))
        return 200, invoice

    def _made(self, asked: dict[str, Any]) -> dict[str, Any]:
        invoice = self._invoices.make(asked)
        answer = dict(invoice)
        if self._pays:
            self._invoices.pay(invoice)
            self._callbacks.add(callback(invoice, self._token))
        return answer

    def _control(self, path: str) -> tuple[int, Any]:
        """Switch paying on or off, pay all that is open without a callback, or list everything."""
        if path in ("/_bench/pay/on", "/_bench/pay/off"):
            self._pays = path.endswith("/on")
        elif path == "/_bench/pay/all":
            for invoice in self._invoices.by_id.values():
                if invoice["status"] == "PENDING":
                    self._invoices.pay(invoice)
        elif path == "/_sim/invoices":
            return 200, list(self._invoices.listed())
        return 200, {}


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def main() -> None:
    """Serve on the loopback address. Arguments: port, port of the callbacks, their token."""
    port, callback_port, token = sys.argv[1:]
    app = StandIn(int(callback_port), token)
    with suppress(KeyboardInterrupt):
        uvicorn.run(app, host="127.0.0.1", port=int(port), lifespan="off", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
