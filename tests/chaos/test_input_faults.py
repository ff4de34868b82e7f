"""Faults that come in by the front door: what is too large, means something else, or says it is somebody else."""

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import row_counts
from tests.chaos.kit.health import services_unharmed
from tests.chaos.kit.requests import basket, registration
from tests.kit.answers import INVALID, outcome
from tests.kit.hostile import LIMIT, malformed
from tests.kit.stacks import secret_of
from tests.kit.tokens import Account, Token, bearer, forgeries

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def nothing_is_shaken(arena: Arena) -> Iterator[None]:
    """See that no service died, failed at a request, or kept what it was sent in memory."""
    with services_unharmed(arena):
        yield


async def doors(arena: Arena) -> dict[str, tuple[str, dict[str, str], dict[str, Any]]]:
    """Give every kind of body that somebody may send: the address, the headers and a good one."""
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
    """Send more than a process may grow by, without saying how much it will be."""
    for _ in range(96 * 16):
        yield b" " * 65_536


@pytest.mark.fault(73)
async def test_what_is_too_large_too_deep_or_too_many_is_refused_and_neither_kept_nor_stored(arena: Arena) -> None:
    before = await row_counts(arena)
    bomb = gzip.compress(b'{"a": "' + b"0" * (256 * LIMIT) + b'"}', 9)
    for name, (url, headers, good) in (await doors(arena)).items():
        answer = await arena.client.post(url, headers=headers | JSON, content=flood())
        assert (name, outcome(answer)) == (name, (413, "payload_too_large"))
        for content in (b" " * (LIMIT + 1), json.dumps(good | {"x": "x" * LIMIT}).encode()):
            answer = await arena.client.post(url, headers=headers | JSON, content=content)
            assert (name, outcome(answer)) == (name, (413, "payload_too_large"))
        answer = await arena.client.post(url, headers=headers | JSON | {"Content-Encoding": "gzip"}, content=bomb)
        assert (name, outcome(answer)) == (name, INVALID)
        bodies = {kind: body for kind, body in malformed(good) if kind.startswith("deep")}
        for field in good:
            bodies[f"{field}: a long text"] = json.dumps(good | {field: "x" * (LIMIT - 2000)}).encode()
            bodies[f"{field}: a long number"] = json.dumps(good | {field: "@"}).replace('"@"', "9" * 500_000).encode()
        for kind, body in bodies.items():
            answer = await arena.client.post(url, headers=headers | JSON, content=body)
            # A password may be anything where it is only compared, and an invoice's id anything that Xendit likes.
            expected = {INVALID} | ({(401, "invalid_credentials")} if name == "login" else set())
            assert outcome(answer) in expected, (name, kind)
    url, headers, good = (await doors(arena))["checkout"]
    for count in (101, 10_000):
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


SQL = (
    "id; DROP TABLE products--",
    "id DESC",
    "(SELECT 1)",
    "1",
    "ID",
    "price,(SELECT password_hash FROM users LIMIT 1)",
    "id) UNION SELECT 1--",
    "case when 1=1 then id end",
    "' OR '1'='1",
    "pg_sleep(60)",
    "id\tDESC",
    "stock,id",
    "updated_at",
)
NO_PAGES = ("-1", "0", "1.5", "1e3", "+1", "x", "10**9", str(2**63), str(10**30), "1 OR 1=1", "", "null", "0x10")


@pytest.mark.fault(74)
async def test_nothing_in_a_query_is_read_as_sql_or_as_a_pattern_or_makes_a_page_without_an_end(arena: Arena) -> None:
    before, tag = await row_counts(arena), uuid4().hex[:8]
    products, admin = f"{arena.stack.layout.url('productfc')}/v1/products", (await arena.shop.login("admin")).headers
    category = (await arena.back_office.product(stock=1))["category_id"]
    endings = ("100% cotton", "100 cotton", "_x", "ax", "\\x", "'; DROP TABLE products; --")
    for ending in endings:
        body = {"name": tag + ending, "price": 1000, "category_id": category}
        (await arena.client.post(products, headers=admin, json=body)).raise_for_status()

    async def search(**query: str) -> httpx2.Response:
        return await arena.client.get(f"{products}/search", params=query)

    async def found(name: str) -> list[str]:
        return [item["name"].removeprefix(tag) for item in (await search(name=tag + name)).json()["products"]]

    for ending in endings:
        assert await found(ending) == [ending]
    assert [await found(name) for name in ("%", "_", "%x", "100%c", "' OR '1'='1", "\\")] == [
        [],
        ["_x"],
        [],
        [],
        [],
        ["\\x"],
    ]
    assert len(await found("")) == len(endings)
    assert (await search(category="' OR '1'='1")).json()["totalCount"] == 0
    for name in ("order_by", "sort"):
        assert {outcome(await search(**{name: text})) for text in (*SQL, "")} == {INVALID}
    for name in ("page", "page_size", "min_price", "max_price"):
        numbers = NO_PAGES if name.startswith("page") else ("-1", "x", "NaN", "Infinity", "1e999", "", "1 OR 1=1")
        assert {outcome(await search(**{name: text})) for text in numbers} == {INVALID}
    assert {outcome(await search(page_size=text)) for text in ("101", "1000000000")} == {INVALID}
    last = await search(page=str(2**63 - 1), page_size="100")
    assert (last.status_code, last.json()["products"]) == (200, [])

    history, alice = f"{arena.stack.layout.url('orderfc')}/v1/orders/history", arena.alice.headers
    for name in ("status", "limit", "before_id"):
        for text in (*SQL[:4], "-1", "1.5", str(2**63)):
            if (name, text) not in {("status", "1"), ("limit", "1"), ("before_id", "1")}:
                answer = await arena.client.get(history, headers=alice, params={name: text})
                assert outcome(answer) == INVALID, (name, text)
    audit = f"{arena.stack.layout.url('paymentfc')}/v1/payments/audit-logs"
    for query in (
        {"event": '{"$ne": null}'},
        {"order_id": '{"$gt": 0}'},
        {"order_id": "1; DROP TABLE payments"},
        {"page_size": "1000000000"},
        {"page": "-1"},
    ):
        answer = await arena.client.get(audit, headers=admin, params=query)
        assert outcome(answer) == INVALID or answer.json()["items"] == [], query
    assert await row_counts(arena) == before
    await arena.exact()


@pytest.mark.fault(75)
async def test_no_forged_token_is_anybody_s_and_nobody_sees_or_uses_what_is_another_s(arena: Arena) -> None:
    url = arena.stack.layout.url
    product, order = await arena.placed(stock=5)
    await arena.invoice(order)
    admin = await account(arena, (await arena.shop.login("admin")).headers)
    body = basket((product, 1))
    doors: list[tuple[str, str, Any]] = [
        ("GET", f"{url('userfc')}/v1/user-info", None),
        ("POST", f"{url('userfc')}/v1/logout", None),
        ("DELETE", f"{url('productfc')}/v1/products/{product['id']}", None),
        ("POST", f"{url('orderfc')}/v1/orders/checkout", body),
        ("POST", f"{url('paymentfc')}/v1/payments/invoice", {"order_id": order}),
        ("GET", f"{url('paymentfc')}/v1/payments/failed", None),
    ]
    forged = forgeries(admin, secret_of(arena.stack, "userfc", "jwt_secret"))
    for method, address, content in doors:
        got = {}
        for name, header in forged.items():
            headers = [(b"authorization", header)]
            got[name] = outcome(await arena.client.request(method, address, headers=headers, json=content))
        assert got == dict.fromkeys(forged, (401, "invalid_token")), address

    bob = arena.bob.headers
    for method, address, content in (
        ("GET", f"{url('orderfc')}/v1/orders/{order}", None),
        ("GET", f"{url('paymentfc')}/v1/payments/{order}", None),
        ("GET", f"{url('paymentfc')}/v1/payments/invoice/{order}/pdf", None),
        ("POST", f"{url('paymentfc')}/v1/payments/invoice", {"order_id": order}),
    ):
        answer = await arena.client.request(method, address, headers=bob, json=content)
        assert outcome(answer) == (404, "not_found"), address
    history = (await arena.client.get(f"{url('orderfc')}/v1/orders/history", headers=bob)).json()
    assert order not in [item["order_id"] for item in history]
    his = await account(arena, bob)
    answer = await arena.client.post(
        f"{url('orderfc')}/v1/orders/checkout", headers=arena.alice.headers, json=body | {"user_id": his.user_id}
    )
    [row] = await arena.sql("orderfc", "SELECT user_id FROM orders WHERE id = $1", answer.json()["order_id"])
    assert row["user_id"] == (await account(arena, arena.alice.headers)).user_id != his.user_id
    own = [(b"authorization", bearer(Token.of(his, secret_of(arena.stack, "userfc", "jwt_secret"))))]
    assert (await arena.client.get(f"{url('userfc')}/v1/user-info", headers=own)).json()["id"] == his.user_id
    await arena.exact()
    assert await arena.back_office.stock(product) == 3


async def account(arena: Arena, headers: dict[str, str]) -> Account:
    """Ask userfc who somebody is."""
    shown = (await arena.client.get(f"{arena.stack.layout.url('userfc')}/v1/user-info", headers=headers)).json()
    return Account(shown["id"], shown["email"], shown["role"])
