"""History and single orders: whose they are, filters, and pages that lose and repeat nothing."""

import asyncio
import re
import time

import pytest

from orderfc.handler.schemas import OrderView

from .conftest import Shop, body


async def place(shop: Shop, user: dict[str, str], count: int) -> list[int]:
    return [(await shop.checkout(user, body())).json()["order_id"] for _ in range(count)]


async def test_history_shows_the_callers_orders_newest_first_in_the_contracts_shape(shop: Shop) -> None:
    user = shop.user()
    shop.productfc.stock(2, price=10)
    await place(shop, shop.user(), 1)
    [first] = await place(shop, user, 1)
    basket = body({"product_id": 2, "quantity": 3}, {"product_id": 1, "quantity": 1})
    second = (await shop.checkout(user, basket)).json()
    answer = await shop.http.get("/v1/orders/history", headers=user)
    assert answer.status_code == 200
    shown = answer.json()
    assert [order["order_id"] for order in shown] == [second["order_id"], first]
    time = shown[0]["history"][0].pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", time)
    assert shown[0] == {
        "order_id": second["order_id"],
        "total_amount": 150030,
        "total_qty": 4,
        "payment_method": "BANK_TRANSFER",
        "shipping_address": "Jalan Merdeka 1, Jakarta",
        "products": [
            {"product_id": 1, "quantity": 1, "price": 150000},
            {"product_id": 2, "quantity": 3, "price": 10},
        ],
        "history": [{"status": "created"}],
        "status": "created",
    }
    assert "Link" not in answer.headers


async def test_an_order_is_shown_with_plain_numbers_the_names_of_its_steps_and_utc_times(shop: Shop) -> None:
    user = shop.user()
    [order_id] = await place(shop, user, 1)
    await shop.value("UPDATE orders SET total_amount = 10.50, status = 4 WHERE id = $1", order_id)
    await shop.value("UPDATE order_items SET price = 0.05 WHERE order_id = $1", order_id)
    await shop.value(
        "INSERT INTO order_history (order_id, status, cause, created_at)"
        " VALUES ($1, 3, 'payment_failed', '2026-11-24T11:00:00.5+07:00')",
        order_id,
    )
    shown = await shop.order(user, order_id)
    OrderView.model_validate(shown)
    assert (shown["total_amount"], shown["products"][0]["price"], shown["status"]) == (10.5, 0.05, "failed")
    assert shown["history"][1] == {"status": "cancelled", "timestamp": "2026-11-24T04:00:00.500000Z"}


async def longest_pause(until: asyncio.Task[object]) -> float:
    """Return the longest time for which the event loop did nothing else, in seconds of its thread's CPU."""
    longest = 0.0
    while not until.done():
        began = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - began)
    return longest


async def test_a_page_of_ten_thousand_lines_holds_up_no_other_request(shop: Shop) -> None:
    user = shop.user()
    await shop.value(
        "WITH placed AS (INSERT INTO orders"
        " (user_id, status, total_amount, total_qty, currency, payment_method, shipping_address)"
        " SELECT $1, 2, 100, 100, 'IDR', 'x', repeat('x', 1000) FROM generate_series(1, 100) RETURNING id),"
        " steps AS (INSERT INTO order_history (order_id, status, cause) SELECT id, 0, 'checkout' FROM placed)"
        " INSERT INTO order_items (order_id, product_id, name, quantity, price)"
        " SELECT id, line, 'Kopi', 1, 1 FROM placed, generate_series(1, 100) line",
        int(user["X-Test-User"]),
    )
    pauses = []
    for _ in range(5):
        asking = asyncio.create_task(shop.http.get("/v1/orders/history?limit=100", headers=user))
        pauses.append(await longest_pause(asking))
        assert len((await asking).json()) == 100
    assert min(pauses) < 0.05


async def test_following_the_links_visits_every_order_once(shop: Shop) -> None:
    user = shop.user()
    placed = await place(shop, user, 7)
    seen: list[int] = []
    url: str | None = "/v1/orders/history?status=0&limit=3"
    while url:
        answer = await shop.http.get(url, headers=user)
        seen += [order["order_id"] for order in answer.json()]
        link = answer.headers.get("Link")
        url = None
        if link:
            found = re.fullmatch(r'<(/v1/orders/history\?status=created&limit=3&before_id=\d+)>; rel="next"', link)
            assert found, link
            url = found[1]
    assert seen == placed[::-1]


@pytest.mark.parametrize(
    ("status", "count"),
    [("created", 2), ("0", 2), ("cancelled", 1), ("3", 1), ("failed", 0), ("4", 0), ("processing", 0), ("2", 0)],
)
async def test_history_filters_by_name_or_number(shop: Shop, status: str, count: int) -> None:
    user = shop.user()
    placed = await place(shop, user, 3)
    await shop.value("UPDATE orders SET status = 3 WHERE id = $1", placed[0])
    answer = await shop.http.get("/v1/orders/history", headers=user, params={"status": status})
    assert len(answer.json()) == count


@pytest.mark.parametrize(
    "query",
    [
        "status=",
        "status=5",
        "status=-1",
        "status=paid",
        "status=Created",
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=",
        "before_id=0",
        "before_id=-1",
        "before_id=x",
        "before_id=9223372036854775808",
        "before_id=",
    ],
)
async def test_a_query_outside_the_allowed_values_is_400(shop: Shop, query: str) -> None:
    answer = await shop.http.get(f"/v1/orders/history?{query}", headers=shop.user())
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_an_order_is_shown_to_its_owner_and_to_an_admin_and_to_nobody_else(shop: Shop) -> None:
    user = shop.user()
    [order_id] = await place(shop, user, 1)
    admin = await shop.http.get(f"/v1/orders/{order_id}", headers=shop.user(role="admin"))
    assert admin.json() == await shop.order(user, order_id)
    other = await shop.http.get(f"/v1/orders/{order_id}", headers=shop.user())
    missing = await shop.http.get("/v1/orders/9223372036854775807", headers=user)
    for answer in (other, missing):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await shop.http.get("/v1/orders/history", headers=shop.user())).json() == []


@pytest.mark.parametrize("order_id", ["0", "-1", "x", "1.5", "9223372036854775808", "1e3"])
async def test_an_id_that_is_no_positive_int64_is_400(shop: Shop, order_id: str) -> None:
    answer = await shop.http.get(f"/v1/orders/{order_id}", headers=shop.user())
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


@pytest.mark.parametrize("path", ["/v1/orders/history", "/v1/orders/1"])
async def test_reads_need_a_token(shop: Shop, path: str) -> None:
    assert (await shop.http.get(path)).status_code == 401
    assert (await shop.http.get(path, headers={"Authorization": "Bearer x"})).json()["code"] == "invalid_token"
