"""SQL and patterns in queries, forged tokens, and resources of other users."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import row_counts
from tests.chaos.kit.requests import basket
from tests.kit.answers import INVALID, outcome
from tests.kit.stacks import secret_of
from tests.kit.tokens import Account, Token, bearer, forgeries

pytestmark = pytest.mark.usefixtures("unharmed_services")

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


ENDINGS = ("100% cotton", "100 cotton", "_x", "ax", "\\x", "'; DROP TABLE products; --")
MATCHES = {"%": [], "_": ["_x"], "%x": [], "100%c": [], "' OR '1'='1": [], "\\": ["\\x"]}
"""Searched text -> the endings of the names that contain it."""
NO_AUDIT_QUERIES = (
    {"event": '{"$ne": null}'},
    {"order_id": '{"$gt": 0}'},
    {"order_id": "1; DROP TABLE payments"},
    {"page_size": "1000000000"},
    {"page": "-1"},
)


@pytest.mark.fault(74)
async def test_nothing_in_a_query_is_read_as_sql_or_as_a_pattern_or_makes_a_page_without_an_end(arena: Arena) -> None:
    before = await row_counts(arena)
    admin = (await arena.shop.login("admin")).headers
    await _assert_search_is_literal(arena, admin)
    await _assert_search_parameters_are_checked(arena)
    await _assert_history_parameters_are_checked(arena)
    for query in NO_AUDIT_QUERIES:
        url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/audit-logs"
        answer = await arena.client.get(url, headers=admin, params=query)
        assert outcome(answer) == INVALID or answer.json()["items"] == [], query
    assert await row_counts(arena) == before
    await arena.exact()


async def _search(arena: Arena, **query: str) -> httpx2.Response:
    return await arena.client.get(f"{arena.stack.layout.url('productfc')}/v1/products/search", params=query)


async def _assert_search_is_literal(arena: Arena, admin: dict[str, str]) -> None:
    url, tag = f"{arena.stack.layout.url('productfc')}/v1/products", uuid4().hex[:8]
    category = (await arena.back_office.product(stock=1))["category_id"]
    for ending in ENDINGS:
        body = {"name": tag + ending, "price": 1000, "category_id": category}
        (await arena.client.post(url, headers=admin, json=body)).raise_for_status()

    async def endings(text: str) -> list[str]:
        products = (await _search(arena, name=tag + text)).json()["products"]
        return [item["name"].removeprefix(tag) for item in products]

    assert {ending: await endings(ending) for ending in ENDINGS} == {ending: [ending] for ending in ENDINGS}
    assert {text: await endings(text) for text in MATCHES} == MATCHES
    assert len(await endings("")) == len(ENDINGS)
    assert (await _search(arena, category="' OR '1'='1")).json()["totalCount"] == 0


async def _assert_search_parameters_are_checked(arena: Arena) -> None:
    no_prices = ("-1", "x", "NaN", "Infinity", "1e999", "", "1 OR 1=1")
    values: dict[str, tuple[str, ...]] = dict.fromkeys(("order_by", "sort"), (*SQL, ""))
    values |= {"page": NO_PAGES, "page_size": (*NO_PAGES, "101", "1000000000")}
    values |= dict.fromkeys(("min_price", "max_price"), no_prices)
    for name, texts in values.items():
        assert {outcome(await _search(arena, **{name: text})) for text in texts} == {INVALID}, name
    last = await _search(arena, page=str(2**63 - 1), page_size="100")
    assert (last.status_code, last.json()["products"]) == (200, [])


async def _assert_history_parameters_are_checked(arena: Arena) -> None:
    url = f"{arena.stack.layout.url('orderfc')}/v1/orders/history"
    for name in ("status", "limit", "before_id"):
        for text in (*SQL[:4], "-1", "1.5", str(2**63)):
            # Of these texts only 1 is a valid value.
            if text != "1":
                answer = await arena.client.get(url, headers=arena.alice.headers, params={name: text})
                assert outcome(answer) == INVALID, (name, text)


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
    await check_hidden(arena, order, bob)
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


async def check_hidden(arena: Arena, order: int, headers: dict[str, str]) -> None:
    """Check that every route answers about an order, to another customer, as if there were none."""
    url = arena.stack.layout.url
    for method, address, content in (
        ("GET", f"{url('orderfc')}/v1/orders/{order}", None),
        ("GET", f"{url('paymentfc')}/v1/payments/{order}", None),
        ("GET", f"{url('paymentfc')}/v1/payments/invoice/{order}/pdf", None),
        ("POST", f"{url('paymentfc')}/v1/payments/invoice", {"order_id": order}),
    ):
        answer = await arena.client.request(method, address, headers=headers, json=content)
        assert outcome(answer) == (404, "not_found"), address
    history = (await arena.client.get(f"{url('orderfc')}/v1/orders/history", headers=headers)).json()
    assert order not in [item["order_id"] for item in history]


async def account(arena: Arena, headers: dict[str, str]) -> Account:
    """Read the account behind a token."""
    shown = (await arena.client.get(f"{arena.stack.layout.url('userfc')}/v1/user-info", headers=headers)).json()
    return Account(shown["id"], shown["email"], shown["role"])
