"""What one customer may do: checkouts a minute, and unpaid orders at the same time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from chassis.db.database import Tx
from orderfc.config import Settings
from orderfc.repository import placing
from orderfc.usecase import place_order

from .conftest import Shop, body, message, open_shop


def limited(settings: Settings, redis_server: dict[str, Any], checkouts: str, most: int) -> Settings:
    """Return settings with a Redis and these limits."""
    limits = {"checkout_limit_per_user": checkouts, "max_open_orders_per_user": most}
    redis = redis_server | {"redis_password": SecretStr(redis_server["redis_password"])}
    return settings.model_copy(update=limits | redis)


@pytest.fixture
async def strict(settings: Settings, redis_server: dict[str, Any]) -> AsyncIterator[Shop]:
    """orderfc with a Redis, where a customer may try five times a minute and have three unpaid orders."""
    async with open_shop(limited(settings, redis_server, "5/minute", 3)) as opened:
        opened.productfc.stock(1, stock=1000)
        yield opened


@pytest.mark.parametrize("key", [None, "k"])
async def test_more_checkouts_than_a_customer_may_try_are_429_and_ask_productfc_for_nothing(
    strict: Shop, key: str | None
) -> None:
    user, other = strict.user(), strict.user()
    strict.productfc.products.clear()
    for number in range(5):
        answer = await strict.checkout(user, body(), key and f"{key}{number}")
        assert answer.json()["code"] == "not_found"
    strict.productfc.stock(1)
    asked = len(strict.productfc.calls)
    refused = await strict.checkout(user, body(), key)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (refused.headers["ratelimit-limit"], refused.headers["ratelimit-remaining"]) == ("5", "0")
    assert refused.headers["ratelimit-reset"] == refused.headers["retry-after"]
    assert len(strict.productfc.calls) == asked
    assert await strict.written_for(user) == (0, 0), "the key is free again"
    assert (await strict.checkout(other, body())).status_code == 201


async def test_two_replicas_count_a_customers_checkouts_together(strict: Shop) -> None:
    user = strict.user()
    strict.productfc.products.clear()
    async with open_shop(strict.settings) as second:
        second.productfc.products.clear()
        turns = (strict, second, strict, second, strict, second, strict)
        codes = [(await shop.checkout(user, body())).status_code for shop in turns]
    assert codes == [404] * 5 + [429] * 2


async def test_the_outcome_of_an_earlier_checkout_is_repeated_beyond_all_limits(strict: Shop) -> None:
    user = strict.user()
    placed = [await strict.checkout(user, body(), f"key {number}") for number in range(3)]
    assert [answer.status_code for answer in placed] == [201] * 3
    assert (await strict.checkout(user, body(), "one more")).json()["code"] == "too_many_open_orders"
    for _ in range(10):
        again = await strict.checkout(user, body(), "key 0")
        assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
        assert again.json() == placed[0].json()


async def test_a_customer_has_at_most_so_many_unpaid_orders_until_one_is_settled(strict: Shop) -> None:
    user, other = strict.user(), strict.user()
    numbers = [(await strict.checkout(user, body())).json()["order_id"] for _ in range(3)]
    refused = await strict.checkout(user, body(), "key")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_open_orders")
    assert refused.json()["error"] == "you have 3 unpaid orders; pay or cancel one, or wait until one expires"
    assert int(refused.headers["retry-after"]) > 0
    assert await strict.written_for(user) == (3, 0)
    assert (await strict.checkout(other, body())).status_code == 201
    paid = f'{{"order_id": {numbers[0]}, "status": "PAID"}}'.encode()
    await strict.deliver(message("payment.success", paid))
    assert (await strict.checkout(user, body(), "key")).status_code == 201


@pytest.mark.parametrize("most", [3, place_order.CLOSE_TO_LIMIT + 6])
async def test_checkouts_at_the_same_time_do_not_exceed_the_number_of_unpaid_orders(
    settings: Settings, redis_server: dict[str, Any], most: int
) -> None:
    own = limited(settings, redis_server, "10000/minute", most)
    async with open_shop(own) as one, open_shop(own) as two:
        user = one.user()
        for shop in (one, two):
            shop.productfc.stock(1, stock=1000)
        answers = await asyncio.gather(*((one, two)[n % 2].checkout(user, body(), f"key {n}") for n in range(60)))
        assert Counter(answer.status_code for answer in answers) == {201: most, 429: 60 - most}
        assert await one.written_for(user) == (most, most)


@pytest.mark.parametrize(("processes", "locked"), [(1, 0), (2, 1)])
async def test_the_distance_from_the_limit_at_which_checkouts_wait_for_each_other_grows_with_the_processes(
    settings: Settings, redis_server: dict[str, Any], processes: int, locked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks: list[int] = []
    lock = placing.lock_customer

    async def seen(tx: Tx, user_id: int) -> None:
        locks.append(user_id)
        await lock(tx, user_id)

    monkeypatch.setattr(placing, "lock_customer", seen)
    own = limited(settings, redis_server, "10000/minute", 2 * place_order.CLOSE_TO_LIMIT + 1)
    async with open_shop(own.model_copy(update={"http_processes": processes})) as one:
        one.productfc.stock(1, stock=1000)
        user = one.user()
        assert [(await one.checkout(user, body())).status_code for _ in range(2)] == [201, 201]
    assert len(locks) == locked


async def test_the_count_of_open_orders_reads_its_index_and_no_more_rows_than_the_limit(shop: Shop) -> None:
    user = int(shop.user()["X-Test-User"])
    await shop.value(
        "INSERT INTO orders (user_id, status, total_amount, total_qty, currency, payment_method, shipping_address)"
        " SELECT $1 + n % 50, CASE WHEN n % 10 = 0 THEN 0 ELSE 2 END, 1, 1, 'IDR', 'x', 'x'"
        " FROM generate_series(1, 20000) n",
        user * 1000,
    )
    await shop.value("ANALYZE orders")
    counting = placing.COUNT_OPEN.replace("$1::bigint", "5").replace("asked.user_id", str(user * 1000))
    plan = "\n".join(row[0] for row in await shop.rows(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {counting}"))
    assert "ix_orders_user_id_status_id" in plan
    assert "Seq Scan" not in plan
    await shop.value("DELETE FROM orders WHERE user_id BETWEEN $1 AND $1 + 49", user * 1000)
