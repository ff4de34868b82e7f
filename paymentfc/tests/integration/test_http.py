"""The routes over HTTP: access rules, and the answers to Xendit."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from paymentfc.client.xendit import Draft
from paymentfc.config import Settings
from paymentfc.errors import GatewayUnavailable
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import Payment
from paymentfc.usecase.request_invoice import WAITING_OF_ONE
from testkit import eventually

from .bench import Bench, bearer
from .conftest import TOKEN

WEBHOOK = "/v1/payments/xendit/webhook"


def callback(invoice_id: str | None, external_id: str, **fields: Any) -> bytes:
    body = {"id": invoice_id, "external_id": external_id, "status": "PAID", "amount": 150000, "currency": "IDR"}
    return json.dumps({**body, **fields}).encode()


def with_token(token: bytes | None = TOKEN.encode()) -> dict[bytes, bytes]:
    """Return the headers of a callback; a token outside ASCII is sent as its bytes."""
    return {b"content-type": b"application/json", **({} if token is None else {b"x-callback-token": token})}


async def test_a_callback_with_our_token_pays(http: httpx2.AsyncClient, bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.agree(bench.about(payment))
    for _ in range(3):
        answer = await http.post(
            WEBHOOK, content=callback(payment.invoice_id, payment.external_id), headers=with_token()
        )
        assert (answer.status_code, answer.json()) == (200, {"message": "webhook processed"})
        assert bench.confirmations.wake.is_set()
    await bench.confirm()
    assert len(await bench.events(payment.order_id)) == 1


@pytest.mark.parametrize("letter", ["x", "é", "한", "😀"])
async def test_ids_of_any_length_that_is_allowed_are_stored_once(
    http: httpx2.AsyncClient, bench: Bench, letter: str
) -> None:
    long = letter * 254
    for end in ("1", "2", "1"):
        body = callback(long + end, long + "e", status=long + "s", payment_id=long + "p", currency=letter * 16)
        answer = await http.post(WEBHOOK, content=body, headers={**with_token(), b"webhook-id": b"w" * 1000})
        assert (answer.status_code, answer.json()) == (200, {"message": "webhook processed"})
    sql = "SELECT deliveries, body FROM payment_callbacks WHERE body LIKE $1 ORDER BY id"
    rows = await bench.rows(sql, f"%{json.dumps(long)[1:-1].replace(chr(92), chr(92) * 2)}%")
    assert [row["deliveries"] for row in rows] == [2, 1]
    assert all(json.loads(row["body"])["external_id"] == long + "e" for row in rows)


@pytest.mark.parametrize("token", [None, b"", b"wrong", "tökén".encode(), "tökén-1".encode("latin-1"), b"\xff\xfe"])
async def test_any_other_token_is_401_before_the_body_is_looked_at(
    http: httpx2.AsyncClient, token: bytes | None
) -> None:
    answer = await http.post(WEBHOOK, content=b"not json", headers=with_token(token))
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid callback token"
    assert set(answer.json()) == {"error", "code", "request_id"}


async def test_an_empty_configured_token_refuses_everybody(app: FastAPI, http: httpx2.AsyncClient) -> None:
    app.state.webhook_token = ""
    for token in (None, b""):
        assert (await http.post(WEBHOOK, content=b"{}", headers=with_token(token))).status_code == 401


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"nope", callback("a", "order-1", amount="150000")])
async def test_a_body_that_is_no_callback_is_400(http: httpx2.AsyncClient, body: bytes) -> None:
    answer = await http.post(WEBHOOK, content=body, headers=with_token())
    assert answer.status_code == 400
    assert answer.json()["code"] == "validation_failed"


@pytest.mark.parametrize("token", [None, b"", b"development-webhook-token"])
async def test_without_a_token_of_ours_every_callback_is_401(
    app: FastAPI, http: httpx2.AsyncClient, token: bytes | None
) -> None:
    app.state.webhook_token = ""
    answer = await http.post(WEBHOOK, content=callback("a", "order-1"), headers=with_token(token))
    assert answer.status_code == 401


async def test_the_owner_and_an_administrator_see_a_payment_and_nobody_else(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings
) -> None:
    payment = await bench.invoiced()
    url = f"/v1/payments/{payment.order_id}"
    for headers in (bearer(settings, 3), bearer(settings, 9, "admin")):
        body = (await http.get(url, headers=headers)).json()
        assert body["order_id"] == payment.order_id
        assert (body["status"], body["amount"], body["currency"]) == ("PENDING", 150000, "IDR")
        assert (body["invoice_id"], body["invoice_url"]) == (payment.invoice_id, payment.invoice_url)
        assert body["expires_at"].endswith("Z")
    assert (await http.get(url, headers=bearer(settings, 4))).status_code == 404
    assert (await http.get("/v1/payments/999999999", headers=bearer(settings, 3))).status_code == 404
    assert (await http.get(url)).status_code == 401
    assert (await http.get("/v1/payments/0", headers=bearer(settings, 3))).status_code == 400


async def test_an_invoice_is_made_from_our_own_records_whatever_the_body_claims(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings
) -> None:
    payment = await bench.order()
    body = {"order_id": payment.order_id, "amount": 1, "user_id": 99}
    answer = await http.post("/v1/payments/invoice", json=body, headers=bearer(settings, 3))
    invoice = bench.xendit.live(payment.external_id)[0]
    assert answer.json() == {"id": invoice.id, "invoice_url": invoice.invoice_url, "status": "PENDING"}
    assert invoice.amount == 150000
    assert (await http.post("/v1/payments/invoice", json=body, headers=bearer(settings, 4))).status_code == 404
    await bench.callback(await bench.payment(payment.order_id))
    assert (await http.post("/v1/payments/invoice", json=body, headers=bearer(settings, 3))).status_code == 409


async def test_no_invoice_while_xendit_is_down_is_503_with_retry_after(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings
) -> None:
    payment = await bench.order()
    bench.xendit.faults = ["down"]
    answer = await http.post("/v1/payments/invoice", json={"order_id": payment.order_id}, headers=bearer(settings, 3))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_customers_who_wait_for_an_invoice_leave_room_for_everybody_else(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings
) -> None:
    async def hang(_: Draft) -> Invoice:
        await gate.wait()
        raise GatewayUnavailable("down")

    async def ask(payment: Payment) -> int:
        body, caller = {"order_id": payment.order_id}, bearer(settings, payment.user_id)
        return (await http.post("/v1/payments/invoice", json=body, headers=caller)).status_code

    gate = asyncio.Event()
    bench.xendit.instead["create"] = hang
    live, *orders = [await bench.order(user_id=number) for number in range(3, 20)]
    await bench.execute("UPDATE payments SET invoice_id = 'i', invoice_url = 'u' WHERE id = $1", live.id)
    asking = [asyncio.create_task(ask(orders[0])) for _ in range(300)]
    await eventually(lambda: sum(task.done() for task in asking) == 300 - WAITING_OF_ONE)
    others = [asyncio.create_task(ask(order)) for order in orders[1:]]
    answer = await http.post(WEBHOOK, content=callback("x", "order-999999"), headers=with_token())
    assert answer.status_code == 200
    assert await ask(live) == 200
    assert sum(task.done() for task in others) == 0
    gate.set()
    assert set(await asyncio.gather(*asking, *others)) == {503}


async def test_the_openapi_document_names_the_callback_and_its_token(http: httpx2.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    operation = document["paths"][WEBHOOK]["post"]
    [scheme] = operation["security"]
    declared = [document["components"]["securitySchemes"][name] for name in scheme]
    assert [(one["in"], one["name"]) for one in declared] == [("header", "x-callback-token")]
    assert "external_id" in json.dumps(operation["requestBody"])
