"""Checkout on a real database: what is written, what is refused, and that a refusal writes nothing."""

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest

from orderfc.client.products import ProductClient
from orderfc.config import Settings

from .conftest import Shop, body, open_checkout

GOLDEN = Path(__file__).parents[3] / "protos" / "events"
ONE = {"product_id": 1, "quantity": 1}


def shape(value: Any) -> Any:
    """Return the names and types of a JSON value, with one element for a list."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])]
    return type(value).__name__


async def test_a_checkout_writes_the_order_its_history_and_both_events_in_the_golden_shape(shop: Shop) -> None:
    user = shop.user()
    shop.productfc.stock(2, price=50000, name="Teh")
    request = body({"product_id": 2, "quantity": 3}, {"product_id": 1, "quantity": 2, "price": 150000}, user_id=999)
    answer = await shop.checkout(user, request)
    order_id = answer.json()["order_id"]
    assert answer.status_code == 201
    assert answer.json() == {"message": "Order created successfully", "order_id": order_id}
    assert "Idempotent-Replayed" not in answer.headers
    events = await shop.rows(
        "SELECT topic, payload::text, headers::text, published_at FROM outbox WHERE key = $1 ORDER BY id",
        f"order-{order_id}",
    )
    payloads = {row["topic"]: json.loads(row["payload"]) for row in events}
    assert list(payloads) == ["order.created", "stock.updated"]
    for topic, payload in payloads.items():
        assert shape(payload) == shape(json.loads((GOLDEN / f"{topic}.json").read_text()))
    time = payloads["stock.updated"].pop("event_time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", time)
    assert payloads == {
        "order.created": {
            "order_id": order_id,
            "user_id": int(user["X-Test-User"]),
            "total_amount": 450000,
            "payment_method": "BANK_TRANSFER",
            "shipping_address": "Jalan Merdeka 1, Jakarta",
            "currency": "IDR",
            "products": [
                {"product_id": 2, "name": "Teh", "quantity": 3, "price": 50000},
                {"product_id": 1, "name": "Kopi", "quantity": 2, "price": 150000},
            ],
        },
        "stock.updated": {
            "order_id": order_id,
            "products": [{"product_id": 2, "quantity": 3}, {"product_id": 1, "quantity": 2}],
        },
    }
    shown = await shop.order(user, order_id)
    assert [step["status"] for step in shown["history"]] == ["created"]
    assert len(shop.productfc.calls) == 1


async def test_without_a_key_no_key_is_stored(shop: Shop) -> None:
    user = shop.user()
    assert (await shop.checkout(user, body())).status_code == 201
    assert await shop.written_for(user) == (1, 0)


async def test_the_trace_of_the_request_goes_to_productfc_and_into_the_events(shop: Shop) -> None:
    user = shop.user()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await shop.checkout(user | {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, body())
    assert trace in shop.productfc.calls[0].headers["traceparent"]
    stored = await shop.rows(
        "SELECT headers->>'traceparent' AS trace FROM outbox WHERE key = $1", f"order-{answer.json()['order_id']}"
    )
    assert [trace in row["trace"] for row in stored] == [True, True]


REFUSED: list[tuple[dict[str, Any], int, str, str | None]] = [
    (body({"product_id": 9, "quantity": 1}), 404, "not_found", "product 9 not found"),
    (body({"product_id": 1, "quantity": 11}), 409, "insufficient_stock", "product stock is not enough for product 1"),
    (
        body(ONE | {"quantity": 6}, ONE | {"quantity": 5}),
        409,
        "insufficient_stock",
        "product stock is not enough for product 1",
    ),
    (body(ONE | {"price": 149999}), 409, "price_mismatch", "price mismatch for product 1"),
    (
        body(ONE | {"price": 1}, ONE | {"price": 2}),
        400,
        "validation_failed",
        "items: product 1 is given with two different prices",
    ),
    (body(ONE | {"price": 0.5}), 400, "validation_failed", None),
    (body(ONE | {"price": -1}), 400, "validation_failed", None),
    (body(ONE | {"price": "150000"}), 400, "validation_failed", None),
    (body({"product_id": 3, "quantity": 1}), 400, "validation_failed", "The total must be more than 0"),
    (body({"product_id": 4, "quantity": 1}, ONE), 400, "validation_failed", None),
    (body(items=[]), 400, "validation_failed", None),
    (body(items=[ONE] * 101), 400, "validation_failed", None),
    (body(items=None), 400, "validation_failed", None),
    *[(body({"product_id": 1, "quantity": n}), 400, "validation_failed", None) for n in (0, -1, 1001, 1.5, "1", 2**70)],
    *[(body({"product_id": n, "quantity": 1}), 400, "validation_failed", None) for n in (0, -1, 2**63, "x", None)],
    (body(ONE | {"quantity": 600}, ONE | {"quantity": 600}), 400, "validation_failed", None),
    (body(payment_method=""), 400, "validation_failed", None),
    (body(payment_method="x" * 65), 400, "validation_failed", None),
    (body(shipping_address=" "), 400, "validation_failed", None),
    (body(shipping_address="x" * 1001), 400, "validation_failed", None),
    (body(idempotency_token=""), 400, "validation_failed", None),
    (body(idempotency_token="x" * 256), 400, "validation_failed", None),
    (
        body(idempotency_token="another"),
        400,
        "validation_failed",
        "Idempotency-Key and idempotency_token are both given and differ",
    ),
]


@pytest.mark.parametrize(("asked", "status", "code", "sentence"), REFUSED)
async def test_a_refused_checkout_says_why_writes_nothing_and_frees_its_key(
    shop: Shop, asked: dict[str, Any], status: int, code: str, sentence: str | None
) -> None:
    shop.productfc.stock(3, price=0)
    shop.productfc.stock(4, price=9_999_999_999)
    user = shop.user()
    events = await shop.value("SELECT count(*) FROM outbox")
    answer = await shop.checkout(user, asked, "key")
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "code", "request_id"}
    assert answer.json()["code"] == code
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    if sentence:
        assert answer.json()["error"] == sentence
    assert await shop.written_for(user) == (0, 0)
    assert await shop.value("SELECT count(*) FROM outbox") == events


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_outside_1_to_255_characters_is_refused(shop: Shop, key: str) -> None:
    assert (await shop.checkout(shop.user(), body(), key)).status_code == 400


async def test_without_a_token_nothing_is_ordered(shop: Shop) -> None:
    answer = await shop.checkout({}, body())
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert shop.productfc.calls == []


async def _broken(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(500, text="no")


async def _gibberish(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, text="<html>")


async def _half(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={"products": [{"id": 1}]})


async def _gone(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused", request=request)


async def _cut(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.RemoteProtocolError("peer closed connection", request=request)


@pytest.mark.parametrize("answer", [_broken, _gibberish, _half, _gone, _cut])
@pytest.mark.parametrize("key", [None, "key"])
async def test_when_productfc_gives_no_usable_answer_nothing_is_written(
    shop: Shop,
    answer: Any,
    key: str | None,
) -> None:
    shop.productfc.answer = answer
    user = shop.user()
    refused = await shop.checkout(user, body(), key)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert await shop.written_for(user) == (0, 0)
    shop.productfc.answer = None
    assert (await shop.checkout(user, body(), key)).status_code == 201


async def test_a_connection_that_ends_under_the_question_is_asked_again_once_and_no_more(shop: Shop) -> None:
    async def back_then(request: httpx2.Request) -> httpx2.Response:
        shop.productfc.answer = None
        return await _cut(request)

    shop.productfc.answer = back_then
    assert (await shop.checkout(shop.user(), body())).status_code == 201
    assert len(shop.productfc.calls) == 2
    shop.productfc.answer = _cut
    assert (await shop.checkout(shop.user(), body())).status_code == 503
    assert len(shop.productfc.calls) == 4


async def test_a_redirect_of_productfc_is_not_followed(shop: Shop) -> None:
    async def elsewhere(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(307, headers={"location": "http://169.254.169.254/v1/products"})

    shop.productfc.answer = elsewhere
    assert (await shop.checkout(shop.user(), body())).status_code == 503
    assert len(shop.productfc.calls) == 1


async def test_a_productfc_that_is_down_or_silent_on_a_real_socket_is_503_within_its_time_limit(
    shop: Shop, settings: Settings
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        here = settings.model_copy(
            update={"product_host": f"http://127.0.0.1:{silent.getsockname()[1]}", "product_timeout_s": 0.3}
        )
        products = ProductClient(here)
        user = shop.user()
        async with open_checkout(here, shop.db, products) as shop.app.state.checkout:
            async with asyncio.timeout(5):
                answers = await asyncio.gather(*(shop.checkout(user, body()) for _ in range(100)))
            assert {answer.status_code for answer in answers} == {503}
            silent.close()
            assert (await shop.checkout(user, body())).status_code == 503
    assert await shop.written_for(user) == (0, 0)
    await products.close()


async def test_the_last_unit_may_be_ordered_and_the_price_of_checkout_stays_with_the_order(shop: Shop) -> None:
    user = shop.user()
    shop.productfc.stock(1, stock=1, price=99)
    order_id = (await shop.checkout(user, body(ONE | {"price": 99}))).json()["order_id"]
    shop.productfc.stock(1, price=500)
    shown = await shop.order(user, order_id)
    assert (shown["total_amount"], shown["products"]) == (99, [{"product_id": 1, "quantity": 1, "price": 99}])
