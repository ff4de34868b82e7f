"""A checkout past FastAPI's dependencies is answered as one through them, whatever is wrong with it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import Request, Response

from chassis.auth.tokens import CurrentUser
from chassis.http.app import create_app
from chassis.http.routing import Router
from orderfc.handler import http
from orderfc.handler.http import Key, Place
from orderfc.handler.schemas import CheckoutAnswer, CheckoutBody

from .conftest import Shop, body

router = Router(prefix="/v1/orders")


@router.post("/checkout", status_code=201, response_model=CheckoutAnswer)
async def checkout(body: CheckoutBody, user: CurrentUser, place: Place, request: Request, _: Key = None) -> Response:
    """Check out through FastAPI."""
    return await http.checkout(body, user, place, request)


@pytest.fixture
async def through(shop: Shop) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the same checkout, whose route has no other way."""
    app = create_app(shop.settings, routers=[router])
    app.state.checkout, app.state.verifier = shop.app.state.checkout, shop.app.state.verifier
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://orderfc") as client:
        yield client


async def _empty() -> AsyncIterator[bytes]:
    yield b""


ONE = {"product_id": 1, "quantity": 1}
JSON: dict[str, str | None] = {"Content-Type": "application/json"}
BAD_TOKEN: dict[str, str | None] = {"Authorization": "Bearer a.b.c"}
# What differs from a checkout that is right: headers, and how the body is given.
CASES: dict[str, tuple[dict[str, str | None], dict[str, Any]]] = {
    "right": ({}, {"json": body()}),
    "other fields": ({}, {"json": body(user_id=7, other=[1])}),
    "a key": ({"Idempotency-Key": "one"}, {"json": body()}),
    "a key that is none": ({"Idempotency-Key": '"one'}, {"json": body()}),
    "two keys": ({"Idempotency-Key": "one"}, {"json": body(idempotency_token="two")}),
    "no token": ({"Authorization": None}, {"json": body()}),
    "no token and a wrong body": ({"Authorization": None}, {"json": []}),
    "no token and no JSON": ({"Authorization": None, **JSON}, {"content": b"{"}),
    "a wrong token": (BAD_TOKEN, {"json": body()}),
    "a wrong token and a wrong body": (BAD_TOKEN, {"json": body(items=[])}),
    "another scheme": ({"Authorization": "Basic YTpi"}, {"json": body()}),
    "no body": ({}, {}),
    "an empty body in chunks": (JSON, {"content": _empty}),
    "null": (JSON, {"content": b"null"}),
    "a list": ({}, {"json": [body()]}),
    "no JSON": (JSON, {"content": b"{,}"}),
    "a NUL": ({}, {"json": body(payment_method="a\0")}),
    "another type": ({"Content-Type": "text/plain"}, {"content": b"{}"}),
    "JSON by another name": ({"Content-Type": "application/vnd.a+json; charset=utf-8"}, {"content": b"{}"}),
    "compressed": ({**JSON, "Content-Encoding": "gzip"}, {"content": b"{}"}),
    "too large": ({}, {"json": body(shipping_address="a" * 70_000)}),
    "a long address": ({}, {"json": body(shipping_address="a" * 1001)}),
    "a quantity that is text": ({}, {"json": body({"product_id": 1, "quantity": "1"})}),
    "another price": ({}, {"json": body({**ONE, "price": 1})}),
    "an unknown product": ({}, {"json": body({"product_id": 99, "quantity": 1})}),
    "too many": ({}, {"json": body({"product_id": 1, "quantity": 1000})}),
}


@pytest.mark.parametrize("case", CASES)
async def test_both_ways_give_the_same_answer(shop: Shop, through: httpx2.AsyncClient, case: str) -> None:
    given, content = CASES[case]

    async def outcome(client: httpx2.AsyncClient) -> tuple[Any, ...]:
        headers = {name: value for name, value in (shop.user() | given).items() if value is not None}
        sent = {name: value() if callable(value) else value for name, value in content.items()}
        answer = await client.post("/v1/orders/checkout", headers=headers, **sent)
        value = answer.json() | {"request_id": "", "order_id": ""}
        kept = {name: text for name, text in answer.headers.items() if name not in ("x-request-id", "content-length")}
        return answer.status_code, value, kept

    assert await outcome(shop.http) == await outcome(through)
