"""Requests that are too large, too deep or too many; the largest basket that is accepted."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import row_counts
from tests.chaos.kit.requests import basket, registration
from tests.kit.answers import INVALID, outcome
from tests.kit.hostile import malformed
from tests.kit.stacks import secret_of

JSON = {"Content-Type": "application/json"}
TOO_LARGE = (413, "payload_too_large")
# The largest body of each route.
LIMITS = {"register": 8 * 1024, "login": 8 * 1024, "webhook": 256 * 1024}
OTHERS = 64 * 1024
pytestmark = pytest.mark.usefixtures("unharmed_services")


async def routes_with_body(arena: Arena) -> dict[str, tuple[str, dict[str, str], dict[str, Any]]]:
    """Return each route that takes a body: address, headers and a valid body."""
    url = arena.stack.layout.url
    admin = (await arena.shop.login("admin")).headers
    product = await arena.back_office.product(stock=10)
    return {
        "register": (f"{url('userfc')}/v1/register", {}, registration("correct horse")),
        "login": (f"{url('userfc')}/v1/login", {}, {"email": "nobody@example.com", "password": "correct horse"}),
        "product": (
            f"{url('productfc')}/v1/products",
            admin,
            {"name": "Thing", "price": 1, "category_id": product["category_id"]},
        ),
        "checkout": (f"{url('orderfc')}/v1/orders/checkout", arena.alice.headers, basket((product, 1))),
        "invoice": (f"{url('paymentfc')}/v1/payments/invoice", arena.alice.headers, {"order_id": 1}),
        "webhook": (
            f"{url('paymentfc')}/v1/payments/xendit/webhook",
            {"x-callback-token": secret_of(arena.stack, "paymentfc", "xendit_webhook_token")},
            {"id": "x", "external_id": "order-1", "status": "PAID", "amount": 1, "currency": "IDR"},
        ),
    }


async def flood() -> AsyncIterator[bytes]:
    """Send more than a process may grow by, without a content length."""
    for _ in range(96 * 16):
        yield b" " * 65_536


@pytest.mark.fault(73)
async def test_what_is_too_large_too_deep_or_too_many_is_refused_and_neither_kept_nor_stored(arena: Arena) -> None:
    before = await row_counts(arena)
    for name, (url, headers, good) in (await routes_with_body(arena)).items():
        limit = LIMITS.get(name, OTHERS)
        answer = await arena.client.post(url, headers=headers | JSON, content=flood())
        assert (name, outcome(answer)) == (name, TOO_LARGE)
        # About a thousand times as large when it is unpacked.
        bomb = gzip.compress(b'{"a": "' + b"0" * (500 * limit) + b'"}', 9)
        answer = await arena.client.post(url, headers=headers | JSON | {"Content-Encoding": "gzip"}, content=bomb)
        assert (name, outcome(answer)) == (name, (415, "unsupported_media_type"))
        bodies = {kind: body for kind, body in malformed(good) if kind.startswith("deep")}
        bodies["blanks"], bodies["a long text"] = b" " * (limit + 1), json.dumps(good | {"x": "x" * limit}).encode()
        for field in good:
            bodies[f"{field}: a long text"] = json.dumps(good | {field: "x" * (limit - 2000)}).encode()
            number = "9" * min(limit - 2000, 60_000)
            bodies[f"{field}: a long number"] = json.dumps(good | {field: "@"}).replace('"@"', number).encode()
        for kind, body in bodies.items():
            answer = await arena.client.post(url, headers=headers | JSON, content=body)
            # A login compares any password, so a long one is a wrong one.
            allowed = {INVALID} | ({(401, "invalid_credentials")} if name == "login" else set())
            assert outcome(answer) in ({TOO_LARGE} if len(body) > limit else allowed), (name, kind)
    url, headers, good = (await routes_with_body(arena))["checkout"]
    for count in (101, 1_000):
        answer = await arena.client.post(url, headers=headers, json=good | {"items": good["items"] * count})
        assert outcome(answer) == INVALID
    assert await row_counts(arena) == before
    await arena.exact()


@pytest.mark.fault(73)
async def test_the_largest_basket_that_is_let_in_fits_its_event_and_is_served(arena: Arena) -> None:
    url, admin = f"{arena.stack.layout.url('productfc')}/v1/products", (await arena.shop.login("admin")).headers
    category = (await arena.back_office.product(stock=1))["category_id"]
    products = []
    for _ in range(100):
        body = {"name": "🦊" * 247 + uuid4().hex[:8], "price": 1000, "stock": 1000, "category_id": category}
        products.append((await arena.client.post(url, headers=admin, json=body)).json())
    answer = await arena.client.post(
        f"{arena.stack.layout.url('orderfc')}/v1/orders/checkout",
        headers=arena.alice.headers,
        json=basket(*((product, 1000) for product in products), address="🏠" * 1000),
    )
    assert outcome(answer) == (201, "")
    await arena.complete(answer.json()["order_id"])
    arena.healed()
    await arena.exact()
