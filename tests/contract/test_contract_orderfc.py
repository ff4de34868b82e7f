"""The contract of orderfc's checkout over the running stack."""

import json
from typing import Any
from uuid import uuid4

import pytest

from fc.demo.shop import Customer
from tests.contract.api import ADDRESS, Api, sentence
from tests.kit.answers import outcome
from tests.kit.back_office import BackOffice

CHECKOUT = "/v1/orders/checkout"
Line = dict[str, Any]


def _line(product: dict[str, Any], quantity: int = 1, **more: Any) -> Line:
    return {"product_id": product["id"], "quantity": quantity, **more}


async def test_an_order_is_made_for_the_owner_of_the_token_whatever_the_body_says(
    api: Api, back_office: BackOffice, alice: Customer, bob: Customer
) -> None:
    product = await back_office.product(stock=5)
    bobs = (await api.ask("userfc", "GET", "/v1/user-info", bob)).json()["id"]
    answer = await api.checkout(alice, [_line(product, 2, price=product["price"])], user_id=bobs)
    assert answer.status_code == 201
    order = answer.json()["order_id"]
    assert answer.json() == {"message": "Order created successfully", "order_id": order}
    assert "idempotent-replayed" not in answer.headers
    assert outcome(await api.ask("orderfc", "GET", f"/v1/orders/{order}", bob)) == (404, "not_found")
    for who in (alice, api.admin):
        assert (await api.ask("orderfc", "GET", f"/v1/orders/{order}", who)).json()["order_id"] == order


async def test_an_order_has_the_fields_of_the_contract(api: Api, back_office: BackOffice, alice: Customer) -> None:
    product = await back_office.product(stock=5, price=12_000)
    order = (await api.checkout(alice, [_line(product, 3)])).json()["order_id"]
    shown = await alice.order(order)
    [step] = shown.pop("history")
    assert step.pop("timestamp").endswith("Z")
    assert step == {"status": "created"}
    assert shown == {
        "order_id": order,
        "total_amount": 36_000,
        "total_qty": 3,
        "status": "created",
        **ADDRESS,
        "products": [{"product_id": product["id"], "quantity": 3, "price": 12_000}],
    }
    [newest] = (await api.ask("orderfc", "GET", "/v1/orders/history?limit=1", alice)).json()
    assert newest == await alice.order(order)


async def test_too_little_stock_another_price_and_an_unknown_product_are_told_in_the_contracts_words(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(stock=2)
    number = product["id"]
    scarce = await api.checkout(alice, [_line(product, 3)])
    assert (outcome(scarce), sentence(scarce)[1]) == (
        (409, "insufficient_stock"),
        f"product stock is not enough for product {number}",
    )
    dearer = await api.checkout(alice, [_line(product, 1, price=product["price"] + 1)])
    assert (outcome(dearer), sentence(dearer)[1]) == ((409, "price_mismatch"), f"price mismatch for product {number}")
    unknown = await api.checkout(alice, [_line(product), {"product_id": 2**62, "quantity": 1}])
    assert outcome(unknown) == (404, "not_found")
    await back_office.wait_stock(product, 2)


async def test_a_product_named_twice_is_one_line_and_its_stock_is_asked_for_as_a_sum(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(stock=5)
    assert outcome(await api.checkout(alice, [_line(product, 3), _line(product, 3)])) == (409, "insufficient_stock")
    made = await api.checkout(alice, [_line(product, 2), _line(product, 3)])
    assert (await alice.order(made.json()["order_id"]))["products"] == [
        {"product_id": product["id"], "quantity": 5, "price": product["price"]}
    ]
    prices = [_line(product, 1, price=product["price"]), _line(product, 1, price=product["price"] + 1)]
    assert outcome(await api.checkout(alice, prices)) == (400, "validation_failed")


@pytest.mark.parametrize("quantity", [0, -1, 1001, 1.5, "1", True, None])
async def test_a_quantity_outside_1_to_1000_is_refused(
    api: Api, back_office: BackOffice, alice: Customer, quantity: Any
) -> None:
    product = await back_office.product(stock=2000)
    answer = await api.checkout(alice, [{"product_id": product["id"], "quantity": quantity}])
    assert outcome(answer) == (400, "validation_failed")


async def test_a_basket_has_1_to_100_lines_of_up_to_1000_pieces(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(stock=5000)
    assert outcome(await api.checkout(alice, [])) == (400, "validation_failed")
    assert outcome(await api.checkout(alice, [_line(product)] * 101)) == (400, "validation_failed")
    assert (await api.checkout(alice, [_line(product)] * 100)).status_code == 201
    assert (await api.checkout(alice, [_line(product, 1000)])).status_code == 201


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({"payment_method": "x" * 64}, True),
        ({"payment_method": "x" * 65}, False),
        ({"payment_method": "  "}, False),
        ({"payment_method": None}, False),
        ({"shipping_address": "x" * 1000}, True),
        ({"shipping_address": "x" * 1001}, False),
        ({"shipping_address": ""}, False),
    ],
)
async def test_method_and_address_are_required_texts_of_bounded_length(
    api: Api, back_office: BackOffice, alice: Customer, changes: dict[str, Any], good: bool
) -> None:
    product = await back_office.product(stock=1)
    assert (await api.checkout(alice, [_line(product)], **changes)).status_code == (201 if good else 400)


async def test_a_total_of_nothing_and_one_above_the_highest_amount_are_refused(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    free, dear = await back_office.product(stock=5, price=0), await back_office.product(stock=5, price=9_999_999_999)
    assert outcome(await api.checkout(alice, [_line(free)])) == (400, "validation_failed")
    assert outcome(await api.checkout(alice, [_line(dear, 2)])) == (400, "validation_failed")
    assert outcome(await api.checkout(alice, [_line(dear), _line(await back_office.product(stock=1, price=1))])) == (
        400,
        "validation_failed",
    )
    assert (await api.checkout(alice, [_line(dear), _line(free)])).status_code == 201


async def test_the_same_key_is_answered_the_same_when_the_stock_is_gone_and_says_that_it_is_a_repeat(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(stock=1)
    key = {"Idempotency-Key": uuid4().hex}
    first = await api.checkout(alice, [_line(product)], key)
    await back_office.wait_stock(product, 0)
    for again in (
        await api.checkout(alice, [_line(product)], key),
        await api.checkout(alice, [_line(product)], idempotency_token=key["Idempotency-Key"]),
        await api.checkout(alice, [_line(product)], key, idempotency_token=key["Idempotency-Key"]),
    ):
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


async def test_the_same_body_is_the_same_value_however_it_is_written(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    product = await back_office.product(stock=1)
    headers = {"Idempotency-Key": uuid4().hex}
    first = await api.checkout(alice, [_line(product, price=product["price"])], headers)
    text = json.dumps(
        {
            "shipping_address": f"  {ADDRESS['shipping_address']}  ",
            "payment_method": ADDRESS["payment_method"],
            "items": [{"price": float(product["price"]), "quantity": 1, "product_id": product["id"]}],
        },
        indent=3,
    )
    again = await api.ask(
        "orderfc", "POST", CHECKOUT, alice, content=text, headers=headers | {"content-type": "application/json"}
    )
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_used_key_with_another_body_is_422_and_another_users_key_is_his_own(
    api: Api, back_office: BackOffice, alice: Customer, bob: Customer
) -> None:
    product = await back_office.product(stock=5)
    key = {"Idempotency-Key": uuid4().hex}
    first = await api.checkout(alice, [_line(product)], key)
    assert outcome(await api.checkout(alice, [_line(product, 2)], key)) == (422, "idempotency_key_reused")
    bobs = await api.checkout(bob, [_line(product, 2)], key)
    assert bobs.status_code == 201
    assert bobs.json() != first.json()


async def test_a_refusal_frees_the_key(api: Api, back_office: BackOffice, alice: Customer) -> None:
    product = await back_office.product(stock=1)
    key = {"Idempotency-Key": uuid4().hex}
    assert outcome(await api.checkout(alice, [_line(product, 2)], key)) == (409, "insufficient_stock")
    made = await api.checkout(alice, [_line(product)], key)
    assert (made.status_code, "idempotent-replayed" in made.headers) == (201, False)


async def test_a_key_has_1_to_255_characters_and_header_and_body_agree(
    api: Api, back_office: BackOffice, alice: Customer
) -> None:
    line = [_line(await back_office.product(stock=5))]
    unique = uuid4().hex
    assert (await api.checkout(alice, line, {"Idempotency-Key": unique.ljust(255, "x")})).status_code == 201
    assert outcome(await api.checkout(alice, line, {"Idempotency-Key": unique.ljust(256, "x")}))[0] == 400
    assert outcome(await api.checkout(alice, line, {"Idempotency-Key": ""}))[0] == 400
    assert outcome(await api.checkout(alice, line, idempotency_token=""))[0] == 400
    assert outcome(await api.checkout(alice, line, idempotency_token="x" * 256))[0] == 400
    differ = await api.checkout(alice, line, {"Idempotency-Key": "one"}, idempotency_token="two")
    assert outcome(differ) == (400, "validation_failed")
