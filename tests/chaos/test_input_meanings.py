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
