"""Amounts and currencies: a payment of another amount changes nothing, and sums are exact to the last cent."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any
from uuid import uuid4

import orjson
import pytest

from orderfc.events import OrderCreated, OrderedProduct
from orderfc.model import Draft, Line
from paymentfc.events import OrderCreated as Heard
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import event_of
from tests.chaos.kit.logs import metric
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.payments import (
    anomalies,
    assert_paid_once,
    control_api,
    paid_without_callback,
    payment_row,
    post_callback,
    postpone_check,
    unchecked_invoice,
)
from tests.chaos.kit.requests import checkout

WRONG_AMOUNTS: list[tuple[dict[str, Any], list[tuple[str, str, str]]]] = [
    ({"paid_amount": 0}, [("amount_mismatch", "25000", "0")]),
    ({"paid_amount": -25_000}, [("amount_mismatch", "25000", "-25000")]),
    ({"paid_amount": 24_999}, [("amount_mismatch", "25000", "24999")]),
    ({"paid_amount": 25_000.01}, [("amount_mismatch", "25000", "25000.01")]),
    ({"paid_amount": None, "amount": 0}, [("amount_mismatch", "25000", "0")]),
    ({"currency": "USD"}, [("currency_mismatch", "IDR", "USD")]),
    (
        {"currency": None, "paid_amount": 25_001},
        [("currency_mismatch", "IDR", ""), ("amount_mismatch", "25000", "25001")],
    ),
]
"""Changed fields of a callback -> the anomalies that they cause."""
NOT_AMOUNTS = [
    b'"25000"',
    b"true",
    b"[25000]",
    b"{}",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e9999999999",
    b"9" * 41,
    b"25_000",
    b"0x61A8",
    b"",
]
"""Values of `amount` that are no number, or none that can be stored."""


@pytest.mark.fault(49)
async def test_money_that_is_not_exactly_what_was_asked_for_moves_nothing_and_is_told(arena: Arena) -> None:
    order, body = await paid_without_callback(arena)
    expected: list[tuple[str, str, str]] = []
    url = arena.stack.layout.url("paymentfc")
    before = await metric(arena, url, "gocommerce_payment_anomalies_total")
    for changed, causes in [*WRONG_AMOUNTS, *WRONG_AMOUNTS[:2]]:
        answer = await post_callback(arena, {**body, **changed})
        assert (answer.status_code, answer.json()) == (200, {"message": "webhook processed"}), changed
        expected += [each for each in causes if each not in expected]
        assert await anomalies(arena, order) == expected, changed
    text = orjson.dumps(body)
    number = b'"paid_amount":25000'
    huge = await post_callback(arena, text.replace(number, b'"paid_amount":1e309'))
    assert huge.status_code == 200
    expected += [("amount_mismatch", "25000", "1E+309")]
    for word in NOT_AMOUNTS:
        for name in (b"amount", b"paid_amount"):
            answer = await post_callback(arena, text.replace(b'"%s":25000' % name, b'"%s":%s' % (name, word)))
            assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), word
    missing = await post_callback(
        arena, {name: value for name, value in body.items() if name not in ("amount", "paid_amount")}
    )
    assert (missing.status_code, missing.json()["code"]) == (400, "validation_failed")
    assert await anomalies(arena, order) == expected
    assert await metric(arena, url, "gocommerce_payment_anomalies_total") - before == len(expected)
    assert (await payment_row(arena, order))["status"] == "PENDING"
    assert await event_counts(arena, order) == {"order.created": 1, "stock.updated": 1}

    assert (await post_callback(arena, body)).status_code == 200
    arena.healed()
    await assert_paid_once(arena, order)
    await arena.exact()


@pytest.mark.fault(49)
async def test_a_customer_who_paid_too_little_pays_once_more_and_is_served(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    await control_api(arena, f"invoices/{invoice['invoice_id']}/pay", {"amount": 100})
    assert await arena.shop.deliveries(invoice["invoice_id"], 1) == [200]
    assert await anomalies(arena, order) == [("amount_mismatch", "25000", "100")]
    await postpone_check(arena, order)
    await arena.exact()
    assert await arena.history(order) == ["created"]
    await arena.shop.pay(invoice["invoice_id"])
    await assert_paid_once(arena, order)
    await arena.exact()


PRICES = [Decimal(price) for price in ("0.1", "0.2", "19.99", "0.01", "0.07", "33.33", "9999.99", "1.1", "0.57")]
"""Floats add some of them up to 0.30000000000000004 and to less than 59.97."""
Cart = dict[int, int]


def carts(number: int, draw: Random) -> list[Cart]:
    """Draw carts: place of the price -> quantity."""
    return [{place: draw.randint(1, 9) for place in draw.sample(range(9), draw.randint(1, 8))} for _ in range(number)]


def worth(cart: Cart) -> Decimal:
    """Return the total of a cart, added up in whole cents."""
    return Decimal(sum(int(PRICES[place] * 100) * quantity for place, quantity in cart.items())) / 100


@pytest.mark.fault(59)
def test_what_ten_thousand_carts_come_to_is_the_same_on_the_wire_and_in_paymentfc_to_the_last_cent() -> None:
    for cart in carts(10_000, Random(59)):
        lines = tuple(Line(place + 1, "x", quantity, PRICES[place]) for place, quantity in cart.items())
        draft = Draft(1, lines, "USD", "CARD", "here")
        products = [
            OrderedProduct(product_id=line.product_id, name=line.name, quantity=line.quantity, price=line.price)
            for line in lines
        ]
        said = OrderCreated(
            user_id=1,
            total_amount=draft.total_amount,
            payment_method="CARD",
            shipping_address="here",
            currency="USD",
            products=products,
        ).model_dump(mode="json")
        heard = Heard.model_validate_json(orjson.dumps({"order_id": 1, **said}))
        summed = sum(((line.price or 0) * line.quantity for line in heard.products), Decimal(0))
        assert heard.total_amount == summed == draft.total_amount == worth(cart)


@asynccontextmanager
async def dollars(arena: Arena) -> AsyncIterator[tuple[str, str]]:
    """Run the platform with a currency with cents for the block. Yields the addresses of productfc and orderfc.

    Only paymentfc's consumer and the two routes that take prices read the currency.
    """
    dollars_only = {"CURRENCY": "USD"}
    async with (
        arena.replaced("paymentfc", dollars_only),
        arena.replica("productfc", dollars_only, command="api") as products,
        arena.replica("orderfc", dollars_only, command="api") as orders,
    ):
        yield products.url, orders.url


async def shelf(arena: Arena, url: str) -> list[dict[str, Any]]:
    """Put a product on sale for each price."""
    admin = (await arena.shop.login("admin")).headers
    category = (await arena.back_office.product(stock=1))["category_id"]
    answers = [
        await arena.client.post(
            f"{url}/v1/products",
            headers=admin,
            json={"name": uuid4().hex, "price": float(price), "stock": 9_000, "category_id": category},
        )
        for price in PRICES
    ]
    assert [answer.status_code for answer in answers] == [201] * len(PRICES)
    return [dict(answer.json()) for answer in answers]


async def exactly(arena: Arena, service: str, path: str) -> Any:
    """Read JSON as alice, with decimals in place of floats."""
    answer = await arena.client.get(f"{arena.stack.layout.url(service)}{path}", headers=arena.alice.headers)
    answer.raise_for_status()
    return json.loads(answer.text, parse_float=Decimal)


@pytest.mark.fault(59)
async def test_sums_of_cents_are_the_same_in_order_event_payment_and_invoice(arena: Arena) -> None:
    bought: dict[int, Decimal] = {}
    async with arena.back_office.faults({"auto_pay": True}), dollars(arena) as (products, orders):
        goods = await shelf(arena, products)
        for cart in [{0: 1, 1: 1}, {2: 3}, *carts(20, Random(59))]:
            answer = await checkout(arena, *((goods[place], quantity) for place, quantity in cart.items()), url=orders)
            assert answer.status_code == 201, answer.text
            bought[answer.json()["order_id"]] = worth(cart)
        for order in bought:
            await arena.alice.wait_status(order, "completed", 40)
    arena.healed()
    await arena.exact()
    invoices = {item["external_id"]: item for item in await exactly(arena, "xendit", "/_sim/invoices")}
    for order, total in bought.items():
        shown, billed_for = await exactly(arena, "orderfc", f"/v1/orders/{order}"), invoices[f"order-{order}"]
        assert shown["total_amount"] == billed_for["amount"] == billed_for["paid_amount"] == total
        assert sum(item["price"] * item["quantity"] for item in billed_for["items"]) == total
        assert (await payment_row(arena, order))["amount"] == total
        assert await anomalies(arena, order) == []
    event = await event_of(arena, next(iter(bought)), "order.created")
    assert json.loads(event.value or b"", parse_float=str)["total_amount"] == "0.3"


@pytest.mark.fault(59)
async def test_a_currency_without_cents_takes_none(arena: Arena) -> None:
    admin = (await arena.shop.login("admin")).headers | {"content-type": "application/json"}
    product = await arena.back_office.product(stock=5)
    url = f"{arena.stack.layout.url('productfc')}/v1/products"
    for price in (b"0.1", b"10000.5", b"1e-9", b"0.30000000000000004", b'"100"', b"NaN", b"1e309"):
        body = b'{"name":"x","price":%s,"stock":1,"category_id":%d}' % (price, product["category_id"])
        answer = await arena.client.post(url, headers=admin, content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), price
    for shown in (25_000.5, 25_000.0000001, "25000"):
        answer = await checkout(arena, {"product_id": product["id"], "quantity": 1, "price": shown})
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), shown
    await arena.exact()
