"""The orders of all customers, as an administrator lists and reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from orderfc.model import Status
from orderfc.repository import admin_orders
from orderfc.repository.admin_orders import Filter

from .conftest import Shop, body

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
# One order each hour, the customers in turn, every tenth order failed.
FILL = """
INSERT INTO orders (user_id, status, total_amount, total_qty, currency, payment_method, shipping_address, created_at)
SELECT 900000 + n % 2, CASE WHEN n % 10 = 0 THEN 4 ELSE 2 END, 100.50, 1, 'IDR', 'CARD', 'here',
  $1::timestamptz + n * interval '1 hour' FROM generate_series(0, 99) n ORDER BY n
"""
# All orders have product 1, every seventh has product 5 too.
LINES = """
INSERT INTO order_items (order_id, product_id, name, quantity, price)
SELECT o.id, p, 'Teh', 1, 1 FROM orders o, unnest(CASE WHEN extract(epoch FROM o.created_at - $1)::int / 3600 % 7 = 0
  THEN ARRAY[1, 5] ELSE ARRAY[1] END) p
"""


async def ask(shop: Shop, path: str = "", expected: int = 200, **query: Any) -> Any:
    answer = await shop.http.get(f"/v1/admin/orders{path}", params=query, headers=shop.user(role="admin"))
    assert answer.status_code == expected, answer.text
    return answer.json()


async def every_page(shop: Shop, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    place: dict[str, Any] = {}
    for _ in range(50):
        page = await ask(shop, **query, **place)
        found += page["items"]
        if page["next_before_id"] is None:
            return found
        place = {"before_id": page["next_before_id"]}
    raise AssertionError("the pages do not end")


@pytest.fixture
async def filled(shop: Shop) -> Shop:
    """A shop whose only orders are those of FILL."""
    await shop.value("TRUNCATE orders CASCADE")
    await shop.value(FILL, BEGIN)
    await shop.value(LINES, BEGIN)
    return shop


def hours(rows: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of orders of FILL."""
    return [int((datetime.fromisoformat(row["created_at"]) - BEGIN) / timedelta(hours=1)) for row in rows]


async def test_the_pages_hold_every_order_once_newest_first_and_filters_leave_what_fits(filled: Shop) -> None:
    assert hours(await every_page(filled, limit=7)) == list(range(99, -1, -1))
    failed = await every_page(filled, status="failed", limit=3)
    assert hours(failed) == list(range(90, -1, -10))
    assert {row["status"] for row in failed} == {"failed"}
    assert hours(await every_page(filled, user_id=900001, limit=9)) == list(range(99, 0, -2))
    assert hours(await every_page(filled, user_id=900001, status="failed")) == []
    assert hours(await every_page(filled, user_id=900000, status="failed", limit=1)) == list(range(90, -1, -10))
    first = (await ask(filled, limit=1))["items"][0]
    assert (first["total_amount"], first["currency"], first["user_id"]) == (100.5, "IDR", 900001)
    assert set(first) == {
        "order_id",
        "user_id",
        "status",
        "total_amount",
        "total_qty",
        "currency",
        "payment_method",
        "created_at",
        "updated_at",
    }


async def test_the_orders_of_a_product_are_each_on_one_page_and_other_filters_go_with_it(filled: Shop) -> None:
    assert hours(await every_page(filled, product_id=5, limit=2)) == list(range(98, -1, -7))
    assert len(await every_page(filled, product_id=1, limit=30)) == 100
    assert await every_page(filled, product_id=2) == []
    assert await every_page(filled, product_id=2**63 - 1) == []
    assert hours(await every_page(filled, product_id=5, user_id=900001)) == list(range(91, -1, -14))
    assert hours(await every_page(filled, product_id=5, status="failed")) == [70, 0]
    since = (BEGIN + timedelta(hours=50)).isoformat().replace("+00:00", "Z")
    assert hours(await every_page(filled, product_id=5, created_from=since, limit=3)) == list(range(98, 49, -7))


async def test_of_a_product_with_few_orders_a_page_reads_a_bounded_number_and_the_next_goes_on(filled: Shop) -> None:
    before, found = None, []
    for _ in range(15):
        page = await admin_orders.page(filled.db, Filter(product_id=5), before, 5, scan=7)
        found += [row["id"] for row in page.rows]
        before = page.next_before_id
    assert (len(found), len(set(found)), before) == (15, 15, None)


async def test_of_ids_those_orders_are_listed_that_exist_and_fit_the_other_filters(filled: Shop) -> None:
    newest = await every_page(filled)
    wanted = [newest[place]["order_id"] for place in (3, 40, 9, 41)]
    ids = ",".join(map(str, [*wanted, 2**63 - 1, wanted[0]]))
    assert hours(await every_page(filled, ids=ids)) == [96, 90, 59, 58]
    assert hours(await every_page(filled, ids=ids, limit=3)) == [96, 90, 59, 58]
    assert hours(await every_page(filled, ids=ids, status="failed")) == [90]
    assert hours(await every_page(filled, ids=ids, user_id=900001)) == [59]
    assert hours(await every_page(filled, ids=ids, before_id=wanted[2])) == [59, 58]
    assert await every_page(filled, ids=ids, product_id=5) == []


@pytest.mark.parametrize(
    ("first", "last"), [(0, 100), (0, 0), (30, 40), (99, 100), (50, 51), (-5, 3), (98, 300), (40, 30)]
)
async def test_the_orders_of_a_time_are_those_created_in_it(filled: Shop, first: int, last: int) -> None:
    bounds = {"created_from": BEGIN + timedelta(hours=first), "created_to": BEGIN + timedelta(hours=last)}
    query = {name: time.isoformat().replace("+00:00", "Z") for name, time in bounds.items()}
    expected = [number for number in range(99, -1, -1) if first <= number < last]
    assert hours(await every_page(filled, **query, limit=6)) == expected


async def test_of_a_time_no_row_outside_is_read(filled: Shop) -> None:
    # The bounds of ids, not the filter: with room for 12 rows, the page is whole only when it begins at the time.
    hour = BEGIN + timedelta(hours=30)
    page = await admin_orders.page(filled.db, Filter(None, None, hour, hour + timedelta(hours=10)), None, 20, scan=12)
    assert (len(page.rows), page.next_before_id) == (10, None)


async def test_without_an_order_every_list_is_empty(shop: Shop) -> None:
    await shop.value("TRUNCATE orders CASCADE")
    for query in ({}, {"created_from": "2026-01-01T00:00:00Z"}, {"created_to": "2026-01-01T00:00:00Z"}, {"user_id": 1}):
        assert await every_page(shop, **query) == []


async def test_a_page_that_few_orders_fit_ends_after_a_bounded_number_and_the_next_goes_on(filled: Shop) -> None:
    before, sizes = None, []
    while True:
        page = await admin_orders.page(filled.db, Filter(Status.FAILED), before, 5, scan=7)
        sizes.append(len(page.rows))
        before = page.next_before_id
        if before is None:
            break
    assert sum(sizes) == 10
    assert len(sizes) == 15


async def test_orders_placed_while_a_page_is_read_do_not_change_where_the_next_one_begins(
    filled: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = [row["order_id"] for row in await every_page(filled, status="failed")]
    fetch = asyncpg.Connection.fetch

    async def fetch_then_place(connection: asyncpg.Connection, *args: Any, **kwargs: Any) -> Any:
        rows = await fetch(connection, *args, **kwargs)
        monkeypatch.undo()
        await filled.value(FILL, BEGIN)
        return rows

    monkeypatch.setattr(asyncpg.Connection, "fetch", fetch_then_place)
    first = await admin_orders.page(filled.db, Filter(Status.FAILED), None, 5, scan=17)
    assert await filled.value("SELECT count(*) FROM orders") == 200
    second = await admin_orders.page(filled.db, Filter(Status.FAILED), first.next_before_id, 5, scan=17)
    assert [row["id"] for row in (*first.rows, *second.rows)] == failed[:3]


async def test_one_order_shows_its_customer_its_products_and_the_cause_of_each_step(shop: Shop) -> None:
    user = shop.user()
    shop.productfc.stock(2, price=10, name="Teh")
    order_id = (await shop.checkout(user, body({"product_id": 2, "quantity": 3}))).json()["order_id"]
    await shop.value(
        "INSERT INTO order_history (order_id, status, cause, created_at)"
        " VALUES ($1, 3, 'payment_failed', '2026-11-24T11:00:00.5+07:00')",
        order_id,
    )
    shown = await ask(shop, f"/{order_id}")
    assert shown["user_id"] == int(user["X-Test-User"])
    assert (shown["currency"], shown["status"], shown["total_amount"]) == ("IDR", "created", 30)
    assert shown["lines"] == [{"product_id": 2, "name": "Teh", "quantity": 3, "price": 10}]
    assert [(step["status"], step["cause"]) for step in shown["history"]] == [
        ("created", "checkout"),
        ("cancelled", "payment_failed"),
    ]
    assert shown["history"][1]["timestamp"] == "2026-11-24T04:00:00.500000Z"
    await ask(shop, "/999999999", 404)


async def test_a_customer_reads_no_order_here_not_even_the_own_one(shop: Shop) -> None:
    user = shop.user()
    order_id = (await shop.checkout(user, body())).json()["order_id"]
    for path in ("", f"/{order_id}"):
        assert (await shop.http.get(f"/v1/admin/orders{path}")).status_code == 401
        answer = await shop.http.get(f"/v1/admin/orders{path}", headers=user)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "query",
    [
        "status=0",
        "status=sold",
        "limit=101",
        "before_id=0",
        "user_id=x",
        "product_id=0",
        "product_id=Teh",
        "product_id=9223372036854775808",
        "product_id=",
        "ids=",
        "ids=1,",
        "ids=1,x",
        f"ids={','.join(['1'] * 101)}",
        "created_from=2026-01-01",
        "created_from=2026-01-01T00:00:00",
        "created_to=1795681801",
        "created_to=0001-01-01T00:00:00%2B10:00",
        "created_to=9999-12-31T23:59:59Z",
    ],
)
async def test_a_query_that_can_not_be_is_400(shop: Shop, query: str) -> None:
    answer = await shop.http.get(f"/v1/admin/orders?{query}", headers=shop.user(role="admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), answer.text
