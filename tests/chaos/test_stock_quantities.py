"""Quantities that are not a positive integer, and products that one basket names several times."""

import json
from collections import Counter
from random import Random
from typing import Any

import asyncpg
import pytest

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.requests import checkout, place_order
from tests.chaos.kit.stock import stock_of, wait_ledger

NO_QUANTITIES: tuple[Any, ...] = (0, -1, -(2**31), 2**31, 2**63, 10**400, 1.5, 1.0, "2", "", None, True, [1], {})
NO_PRODUCTS: tuple[Any, ...] = (0, -1, 2**63, 1.5, "1", "x", None, False, [])


@pytest.mark.fault(40)
async def test_an_invalid_quantity_is_not_ordered_not_taken_and_does_not_raise_stock(arena: Arena) -> None:
    product, number = await arena.placed(stock=50)
    await wait_ledger(arena, number, "TAKEN")
    bad: list[Any] = [{"product_id": product["id"], "quantity": quantity} for quantity in NO_QUANTITIES]
    bad += [{"product_id": other, "quantity": 1} for other in NO_PRODUCTS] + [
        {"product_id": product["id"]},
        {},
        1,
        None,
    ]
    for line in [*bad, {"product_id": product["id"], "quantity": 1001}]:
        answer = await checkout(arena, (product, 1), line)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), line
    for line in bad:
        event = json.dumps({"order_id": number, "products": [line]}).encode()
        for topic in ("stock.updated", "stock.rollback"):
            await arena.bus.raw(topic, f"order-{number}".encode(), event)
    await arena.bus.consumed()
    for topic in ("stock.updated", "stock.rollback"):
        letters = {letter.value for letter in await arena.bus.read(f"{topic}.dlq")}
        assert letters >= {json.dumps({"order_id": number, "products": [line]}).encode() for line in bad}
    with pytest.raises(asyncpg.CheckViolationError):
        await arena.sql("productfc", "UPDATE products SET stock = -1 WHERE id = $1", product["id"])
    arena.healed()
    await arena.exact()
    assert await stock_of(arena, product) == 49
    rows = await arena.sql("orderfc", "SELECT count(*) FROM order_items WHERE product_id = $1", product["id"])
    assert rows[0][0] == 1


@pytest.mark.fault(40)
async def test_a_product_that_a_basket_names_again_and_again_is_one_line_of_the_sum(arena: Arena) -> None:
    products, draw = [await arena.back_office.product(stock=1200, price=1000 + n) for n in range(3)], Random(40)
    sold = Counter[int]()
    for _ in range(12):
        lines = [(draw.choice(products), draw.randint(1, 9)) for _ in range(draw.randint(2, 20))]
        wanted = Counter[int]()
        for product, quantity in lines:
            wanted[product["id"]] += quantity
        number = await place_order(arena, *lines)
        shown = await arena.alice.order(number)
        assert {line["product_id"]: line["quantity"] for line in shown["products"]} == wanted
        assert shown["total_amount"] == sum(product["price"] * quantity for product, quantity in lines)
        sold += wanted
    scarce = await arena.back_office.product(stock=10)
    answers = [
        await checkout(arena, (scarce, 6), (scarce, 6)),
        await checkout(arena, (products[0], 600), (products[0], 401)),
        await checkout(arena, *({"product_id": scarce["id"], "quantity": 1, "price": price} for price in (25_000, 1))),
    ]
    assert [answer.json()["code"] for answer in answers] == [
        "insufficient_stock",
        "validation_failed",
        "validation_failed",
    ]
    arena.healed()
    await arena.exact()
    assert {product["id"]: 1200 - await stock_of(arena, product) for product in products} == sold
    assert await stock_of(arena, scarce) == 10
