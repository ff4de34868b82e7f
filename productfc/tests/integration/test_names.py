"""Names are compared and searched in one form, whatever a client types."""

import unicodedata

from .conftest import Shop
from .test_http import _call

NAME = "Café Crème"
APART = unicodedata.normalize("NFD", NAME)


async def test_a_name_that_is_typed_in_two_forms_is_one_name(shop: Shop) -> None:
    status, made = await _call(shop, "POST", "/v1/products/categories", json={"name": APART})
    assert (status, made["name"]) == (201, NAME)
    assert (await _call(shop, "POST", "/v1/products/categories", json={"name": NAME}))[0] == 409
    body = {"name": APART, "price": 1000, "category_id": made["id"]}
    status, product = await _call(shop, "POST", "/v1/products", json=body)
    assert (status, product["name"]) == (201, NAME)
    for typed in (NAME, APART):
        for query in ({"category": typed}, {"name": typed}):
            status, found = await _call(shop, "GET", "/v1/products/search", params=query)
            assert (status, [each["id"] for each in found["products"]]) == (200, [product["id"]])


async def test_an_invisible_name_is_refused(shop: Shop) -> None:
    body = {"name": "\u3164\u200b", "price": 1000, "category_id": await shop.category()}
    for path in ("/v1/products", "/v1/products/categories"):
        status, answer = await _call(shop, "POST", path, json=body)
        assert (status, answer["error"]) == (400, "name: should have a visible character")
