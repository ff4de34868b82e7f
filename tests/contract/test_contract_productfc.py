"""The contract of productfc over the running stack: products, categories, search."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from fc.demo.shop import Customer, Shop
from tests.contract.api import Api, sentence
from tests.kit.answers import outcome
from tests.kit.back_office import BackOffice

SEARCH = "/v1/products/search"


async def _search(api: Api, **query: Any) -> Any:
    answer = await api.ask("productfc", "GET", SEARCH, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_product_has_the_fields_of_the_contract(api: Api, back_office: BackOffice) -> None:
    product = await back_office.product(stock=3)
    shown = (await api.ask("productfc", "GET", f"/v1/products/{product['id']}")).json()
    assert shown == product
    assert set(shown) == {"id", "name", "description", "price", "stock", "category_id", "category"}
    assert set(shown["category"]) == {"id", "name"}
    assert shown["category"]["id"] == shown["category_id"]


async def test_what_a_new_product_leaves_out_is_empty_and_its_category_must_exist(
    api: Api, back_office: BackOffice
) -> None:
    category = (await back_office.product(stock=0))["category_id"]
    body = {"name": f"  Thing {uuid4().hex}  ", "price": 0, "category_id": category}
    made = await api.ask("productfc", "POST", "/v1/products", api.admin, json=body)
    assert made.status_code == 201
    shown = made.json()
    assert (shown["name"], shown["description"], shown["stock"], shown["price"]) == (body["name"].strip(), "", 0, 0)
    unknown = await api.ask("productfc", "POST", "/v1/products", api.admin, json=body | {"category_id": 2**62})
    assert outcome(unknown) in ((404, "not_found"), (400, "validation_failed"))


async def test_a_change_touches_what_is_named_zero_and_nothing_included(api: Api, back_office: BackOffice) -> None:
    product = await back_office.product(stock=5)
    path = f"/v1/products/{product['id']}"
    assert (await api.ask("productfc", "PUT", path, api.admin, json={"description": "red"})).status_code == 200
    changed = await api.ask("productfc", "PUT", path, api.admin, json={"stock": 0, "price": 0, "description": ""})
    expected = product | {"stock": 0, "price": 0, "description": ""}
    assert (changed.status_code, changed.json()) == (200, expected)
    assert (await api.ask("productfc", "GET", path)).json() == expected
    assert (await api.ask("productfc", "PUT", path, api.admin, json={})).json() == expected
    gone = await api.ask("productfc", "PUT", f"/v1/products/{2**62}", api.admin, json={"stock": 1})
    assert outcome(gone) == (404, "not_found")


@pytest.mark.parametrize("price", [0.5, 1000.25, 10_000_000_000, -1, "100", None])
async def test_a_price_that_rupiah_can_not_express_or_that_is_too_high_is_refused(
    api: Api, back_office: BackOffice, price: Any
) -> None:
    product = await back_office.product(stock=0)
    body = {"name": "Thing", "price": price, "category_id": product["category_id"]}
    assert outcome(await api.ask("productfc", "POST", "/v1/products", api.admin, json=body)) == (
        400,
        "validation_failed",
    )
    path = f"/v1/products/{product['id']}"
    assert outcome(await api.ask("productfc", "PUT", path, api.admin, json={"price": price}))[0] == 400


async def test_the_highest_price_and_a_whole_number_written_with_decimals_are_taken(
    api: Api, back_office: BackOffice
) -> None:
    path = f"/v1/products/{(await back_office.product(stock=0))['id']}"
    highest = await api.ask("productfc", "PUT", path, api.admin, json={"price": 9_999_999_999})
    assert highest.json()["price"] == 9_999_999_999
    whole = await api.ask(
        "productfc", "PUT", path, api.admin, content=b'{"price":1500.00}', headers={"content-type": "application/json"}
    )
    assert (whole.status_code, whole.json()["price"]) == (200, 1500)


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({"name": "x" * 255}, True),
        ({"name": "x" * 256}, False),
        ({"name": "   "}, False),
        ({"description": "x" * 10_000}, True),
        ({"description": "x" * 10_001}, False),
        ({"stock": -1}, False),
    ],
)
async def test_names_have_1_to_255_characters_and_descriptions_up_to_10000(
    api: Api, back_office: BackOffice, change: dict[str, Any], good: bool
) -> None:
    path = f"/v1/products/{(await back_office.product(stock=0))['id']}"
    answer = await api.ask("productfc", "PUT", path, api.admin, json=change)
    assert answer.status_code == (200 if good else 400)


async def test_a_deleted_product_is_gone_and_the_order_that_holds_it_is_served(
    api: Api, back_office: BackOffice, shop: Shop, alice: Customer
) -> None:
    product = await back_office.product(stock=2)
    order = await alice.checkout(product, 2)
    payment = await alice.invoice(order)
    await back_office.wait_stock(product, 0)
    path = f"/v1/products/{product['id']}"
    gone = await api.ask("productfc", "DELETE", path, api.admin)
    assert (gone.status_code, gone.json()) == (200, {"message": "Product deleted successfully"})
    for method in ("GET", "DELETE"):
        assert outcome(await api.ask("productfc", method, path, api.admin)) == (404, "not_found")
    new = await api.checkout(alice, [{"product_id": product["id"], "quantity": 1}])
    assert outcome(new) == (404, "not_found")
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
    assert (await alice.order(order))["products"] == [
        {"product_id": product["id"], "quantity": 2, "price": product["price"]}
    ]


async def test_a_category_is_made_read_renamed_listed_and_removed(api: Api) -> None:
    name = f"Shelf {uuid4().hex[:8]}"
    made = await api.ask("productfc", "POST", "/v1/products/categories", api.admin, json={"name": name})
    assert made.status_code == 201
    path = f"/v1/products/categories/{made.json()['id']}"
    assert made.json() == {"id": made.json()["id"], "name": name}
    assert (await api.ask("productfc", "GET", path)).json() == made.json()
    renamed = await api.ask("productfc", "PUT", path, api.admin, json={"name": f"{name} 2"})
    assert (renamed.status_code, renamed.json()) == (200, made.json() | {"name": f"{name} 2"})
    listed = (await api.ask("productfc", "GET", "/v1/products/categories")).json()
    assert set(listed) == {"categories"}
    assert renamed.json() in listed["categories"]
    gone = await api.ask("productfc", "DELETE", path, api.admin)
    assert (gone.status_code, gone.json()) == (200, {"message": "Product category deleted successfully"})
    for method in ("GET", "DELETE"):
        assert outcome(await api.ask("productfc", method, path, api.admin)) == (404, "not_found")


async def test_category_names_are_unique_without_case_and_a_used_category_stays(
    api: Api, back_office: BackOffice
) -> None:
    used = (await back_office.product(stock=0))["category"]
    path = "/v1/products/categories"
    twin = await api.ask("productfc", "POST", path, api.admin, json={"name": f" {used['name'].upper()} "})
    assert outcome(twin) == (409, "category_exists")
    other = (await api.ask("productfc", "POST", path, api.admin, json={"name": f"Other {uuid4().hex}"})).json()
    renamed = await api.ask("productfc", "PUT", f"{path}/{other['id']}", api.admin, json={"name": used["name"].lower()})
    assert outcome(renamed) == (409, "category_exists")
    own = await api.ask("productfc", "PUT", f"{path}/{used['id']}", api.admin, json={"name": used["name"]})
    assert own.status_code == 200
    assert outcome(await api.ask("productfc", "DELETE", f"{path}/{used['id']}", api.admin)) == (409, "category_in_use")


async def test_a_batch_read_keeps_the_order_asked_leaves_out_the_unknown_and_takes_a_hundred(
    api: Api, back_office: BackOffice
) -> None:
    first, second = await back_office.product(stock=1), await back_office.product(stock=1)
    asked = f"{second['id']},{2**62},{first['id']}"
    shown = (await api.ask("productfc", "GET", f"/v1/products?ids={asked}")).json()
    assert shown == {"products": [second, first]}
    hundred = ",".join(str(2**61 + number) for number in range(100))
    assert (await api.ask("productfc", "GET", f"/v1/products?ids={hundred}")).json() == {"products": []}
    assert outcome(await api.ask("productfc", "GET", f"/v1/products?ids={hundred},1")) == (400, "validation_failed")


async def test_a_page_of_a_search_has_the_fields_of_the_contract_and_leads_to_the_next(
    api: Api, back_office: BackOffice
) -> None:
    stem = f"50% off & more_{uuid4().hex[:6]}?#+ é"
    category = (await back_office.product(stock=0))["category_id"]
    made = []
    for number in (3, 1, 2):
        body = {"name": f"{stem} {number}", "price": 100, "category_id": category}
        made.append((await api.ask("productfc", "POST", "/v1/products", api.admin, json=body)).json())
    shown = await _search(api, name=stem.upper(), order_by="price", sort="desc", page_size=2)
    assert set(shown) == {"products", "page", "pageSize", "totalCount", "totalPages", "nextPageUrl"}
    assert (shown["page"], shown["pageSize"], shown["totalCount"], shown["totalPages"]) == (1, 2, 3, 2)
    assert shown["products"] == made[:2]
    parts = urlsplit(shown["nextPageUrl"])
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("", "", SEARCH, "")
    assert parse_qs(parts.query, strict_parsing=True) == {
        "name": [stem.upper()],
        "order_by": ["price"],
        "sort": ["desc"],
        "page_size": ["2"],
        "page": ["2"],
    }
    following = (await api.ask("productfc", "GET", shown["nextPageUrl"])).json()
    assert (following["products"], following["nextPageUrl"]) == (made[2:], "")


async def test_a_search_without_result_has_no_pages(api: Api) -> None:
    assert await _search(api, name=uuid4().hex) == {
        "products": [],
        "page": 1,
        "pageSize": 10,
        "totalCount": 0,
        "totalPages": 0,
        "nextPageUrl": "",
    }


async def test_a_search_is_by_ascending_id_and_ten_a_page_unless_it_says_otherwise(api: Api) -> None:
    shown = await _search(api)
    ids = [product["id"] for product in shown["products"]]
    assert len(ids) == shown["pageSize"] == 10
    assert ids == sorted(ids)


async def test_the_category_of_a_search_is_an_exact_name_and_bounds_are_inclusive(api: Api) -> None:
    kitchen = await _search(api, category="Kitchen", min_price=95_000, max_price=185_000, order_by="name")
    assert [product["name"] for product in kitchen["products"]] == ["Bamboo Cutting Board", "Glass Teapot"]
    assert (await _search(api, category="Kitche"))["totalCount"] == 0


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("order_by=weight", "'id', 'name', 'price' or 'stock'"),
        ("sort=up", "'asc' or 'desc'"),
        ("page=0", "page"),
        ("page_size=0", "1"),
        ("page_size=101", "100"),
        ("min_price=2&max_price=1", "min_price"),
        ("min_price=x", "min_price"),
        ("name=", "name"),
        ("category=", "category"),
        ("page=", "page"),
        ("colour=red", "colour"),
        ("page=1&page=2", "page"),
    ],
)
async def test_a_search_that_asks_for_something_else_is_told_what_is_allowed(api: Api, query: str, named: str) -> None:
    answer = await api.ask("productfc", "GET", f"{SEARCH}?{query}")
    assert outcome(answer) == (400, "validation_failed")
    assert named in sentence(answer)[1]


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "abc", str(2**63)])
async def test_an_id_that_is_no_positive_int64_is_400_and_an_unknown_one_404(api: Api, wrong: str) -> None:
    for folder in ("/v1/products", "/v1/products/categories"):
        assert outcome(await api.ask("productfc", "GET", f"{folder}/{wrong}")) == (400, "validation_failed")
        assert outcome(await api.ask("productfc", "GET", f"{folder}/{2**63 - 1}")) == (404, "not_found")
