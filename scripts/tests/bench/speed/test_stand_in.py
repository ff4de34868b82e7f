"""What stands in for Xendit: paymentfc can read its answers, and its callbacks arrive."""

import asyncio
import json
from collections.abc import MutableMapping
from decimal import Decimal
from typing import Any

import pytest

from bench.speed import stand_in
from bench.speed.stand_in import StandIn, callback
from fc.audit.reading.xendit import invoice_of
from paymentfc.client.invoice_answer import read_invoice
from paymentfc.handler.schemas import read_callback
from testkit import free_port

ASKED = {"external_id": "order-7", "amount": 45000, "currency": "IDR", "invoice_duration": 60}


async def call(app: StandIn, method: str, path: str, body: Any = None, query: str = "") -> tuple[int, Any]:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"body": json.dumps(body).encode()}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app({"method": method, "path": path, "query_string": query.encode()}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"], parse_int=Decimal, parse_float=Decimal)


async def test_invoices_are_made_found_read_and_expired_as_paymentfc_reads_them() -> None:
    app = StandIn(1, "token")
    status, made = await call(app, "POST", "/v2/invoices", ASKED)
    invoice = read_invoice(made, ("http",))
    assert (status, invoice.external_id, invoice.status, invoice.amount) == (200, "order-7", "PENDING", Decimal(45000))
    assert (await call(app, "GET", f"/v2/invoices/{invoice.id}"))[1] == made
    assert (await call(app, "GET", "/v2/invoices", query="external_id=order-7"))[1] == [made]
    assert (await call(app, "GET", "/v2/invoices", query="external_id=order-8"))[1] == []
    assert (await call(app, "POST", f"/invoices/{invoice.id}/expire!"))[1]["status"] == "EXPIRED"
    assert (await call(app, "GET", "/v2/invoices/unknown"))[0] == 404


async def test_an_invoice_is_paid_on_request_and_shown_to_the_audit_with_its_payment() -> None:
    app = StandIn(1, "token")
    await call(app, "POST", "/v2/invoices", ASKED)
    await call(app, "POST", "/_bench/pay/all")
    [listed] = (await call(app, "GET", "/_sim/invoices"))[1]
    shown = invoice_of(listed)
    assert (shown.order_id, shown.status, shown.payments, shown.paid_amount) == (7, "PAID", 1, Decimal(45000))
    body = callback(json.loads(json.dumps(listed, default=int)), "token").split(b"\r\n\r\n", 1)[1]
    said, _ = read_callback(body)
    assert (said.status, said.judged_amount, said.receipt) == ("PAID", Decimal(45000), f"pay-{listed['id']}")


async def test_a_callback_is_repeated_until_it_is_answered_with_200(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_in, "PAUSE_S", 0.01)
    answers = [
        b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}",
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ]
    tokens: list[bytes] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers:
            head = await reader.readuntil(b"\r\n\r\n")
            tokens.append(head.split(b"x-callback-token: ")[1].split(b"\r\n")[0])
            await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
            writer.write(answer := answers.pop(0))
            if not answer:
                break
        writer.close()
        if not answers:
            done.set()

    port = free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        app = StandIn(port, "secret")
        await call(app, "POST", "/_bench/pay/on")
        assert (await call(app, "POST", "/v2/invoices", ASKED))[1]["status"] == "PENDING"
        async with asyncio.timeout(10):
            await done.wait()
        await app.close()
    assert tokens == [b"secret"] * 3
