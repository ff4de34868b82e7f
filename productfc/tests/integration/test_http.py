"""The HTTP routes: their answers, and the exact bodies of their refusals."""

from typing import Any

import pytest

from productfc.handler.http import PLAIN_IDS
from productfc.model import MAX_STOCK

from .conftest import Shop

BIG = 2**63


async def _call(shop: Shop, method: str, path: str, **options: Any) -> tuple[int, Any]:
    answer = await shop.http.request(method, path, headers=shop.token(options.pop("role", "admin")), **options)
    return answer.status_code, answer.json()


async def test_a_product_is_made_read_changed_in_part_and_archived(shop: Shop) -> None:
    category = await shop.category()
    name = (await _call(shop, "GET", f"/v1/products/categories/{category}"))[1]["name"]
    body = {"name": "  Ceramic Mug ", "price": 85000, "category_id": category}
    status, product = await _call(shop, "POST", "/v1/products", json=body)
    path = f"/v1/products/{product['id']}"
    assert (status, product) == (
        201,
        {
            "id": product["id"],
            "name": "Ceramic Mug",
            "description": "",
            "price": 85000,
            "stock": 0,
            "category_id": category,
            "category": {"id": category, "name": name},
        },
    )
    assert await _call(shop, "GET", path) == (200, product)
    changed = {**product, "stock": 7, "description": "blue"}
    assert await _call(shop, "PUT", path, json={"stock": 7, "description": "blue"}) == (200, changed)
    assert await _call(shop, "PUT", path, json={}) == (200, changed)
    zeroed = {**product, "stock": 0, "description": "", "price": 0}
    assert await _call(shop, "PUT", path, json={"stock": 0, "description": "", "price": 0}) == (200, zeroed)
    assert await _call(shop, "DELETE", path) == (200, {"message": "Product deleted successfully"})
    for method, options in (("GET", {}), ("DELETE", {}), ("PUT", {"json": {"stock": 1}}), ("PUT", {"json": {}})):
        status, answer = await _call(shop, method, path, **options)
        assert (status, answer["error"]) == (404, f"product {product['id']} not found")


PRODUCT = {"name": "Mug", "price": 1000, "category_id": 1}
INVALID = (400, "validation_failed")
MISSING = (404, "not_found")
REFUSALS = [
    ("GET", "/v1/products/0", None, INVALID, "product_id: should be greater than or equal to 1"),
    ("GET", "/v1/products/-1", None, INVALID, "product_id: should be a positive whole number"),
    ("GET", "/v1/products/x", None, INVALID, "product_id: should be a positive whole number"),
    ("GET", "/v1/products/1.0", None, INVALID, "product_id: should be a positive whole number"),
    ("GET", f"/v1/products/{BIG}", None, INVALID, None),
    ("GET", f"/v1/products/{BIG - 1}", None, MISSING, f"product {BIG - 1} not found"),
    ("GET", "/v1/products", None, INVALID, "ids: is required"),
    ("GET", "/v1/products?ids=", None, INVALID, "ids: should be positive whole numbers, comma separated"),
    ("GET", "/v1/products?ids=1,x", None, INVALID, None),
    ("GET", f"/v1/products?ids={BIG}", None, INVALID, None),
    ("GET", "/v1/products?ids=" + ",".join(["1"] * 101), None, INVALID, "ids: should name at most 100 products"),
    ("GET", "/v1/products/search?page=0", None, INVALID, "page: should be greater than or equal to 1"),
    ("GET", "/v1/products/search?page_size=101", None, INVALID, "page_size: should be less than or equal to 100"),
    ("GET", "/v1/products/search?order_by=x", None, INVALID, "order_by: should be 'id', 'name', 'price' or 'stock'"),
    ("GET", "/v1/products/search?sort=up", None, INVALID, "sort: should be 'asc' or 'desc'"),
    ("GET", "/v1/products/search?colour=red", None, INVALID, "colour: is not known here"),
    ("GET", "/v1/products/search?name=", None, INVALID, None),
    ("GET", "/v1/products/search?page=", None, INVALID, None),
    ("GET", "/v1/products/search?min_price=2&max_price=1", None, INVALID, None),
    ("GET", "/v1/products/search?name=a&name=b", None, INVALID, "name: is given more than once"),
    ("POST", "/v1/products", {}, INVALID, "name: is required"),
    ("POST", "/v1/products", {**PRODUCT, "name": " "}, INVALID, "name: should have at least 1 character"),
    ("POST", "/v1/products", {**PRODUCT, "name": "x" * 256}, INVALID, None),
    ("POST", "/v1/products", {**PRODUCT, "description": "x" * 10_001}, INVALID, None),
    ("POST", "/v1/products", {**PRODUCT, "price": -1}, INVALID, "An amount must be between 0 and 9,999,999,999"),
    ("POST", "/v1/products", {**PRODUCT, "price": 10_000_000_000}, INVALID, None),
    ("POST", "/v1/products", {**PRODUCT, "price": 0.5}, INVALID, "An amount in IDR must be whole"),
    ("POST", "/v1/products", {**PRODUCT, "price": "1"}, INVALID, "price: should be a number"),
    ("POST", "/v1/products", {**PRODUCT, "stock": -1}, INVALID, None),
    ("POST", "/v1/products", {**PRODUCT, "stock": 2**31}, INVALID, None),
    ("POST", "/v1/products", {**PRODUCT, "stock": True}, INVALID, None),
    ("POST", "/v1/products", {**PRODUCT, "category_id": BIG - 1}, MISSING, f"category {BIG - 1} not found"),
    ("PUT", f"/v1/products/{BIG - 1}", {"stock": 1}, MISSING, f"product {BIG - 1} not found"),
    ("PUT", f"/v1/products/{BIG - 1}", {"name": None}, INVALID, None),
    ("DELETE", f"/v1/products/{BIG - 1}", None, MISSING, f"product {BIG - 1} not found"),
    ("POST", "/v1/products/5", {}, (405, "method_not_allowed"), None),
    ("GET", "/v1/products/categories/0", None, INVALID, None),
    ("GET", "/v1/products/categories/99999", None, MISSING, "category 99999 not found"),
    ("PUT", "/v1/products/categories/99999", {"name": "x"}, MISSING, "category 99999 not found"),
    ("DELETE", "/v1/products/categories/99999", None, MISSING, "category 99999 not found"),
    ("POST", "/v1/products/categories", {"name": ""}, INVALID, None),
    ("GET", "/v1/nothing", None, MISSING, None),
]


@pytest.mark.parametrize(("method", "path", "body", "refusal", "sentence"), REFUSALS)
async def test_a_refusal_has_its_status_code_and_sentence(
    shop: Shop, method: str, path: str, body: Any, refusal: tuple[int, str], sentence: str | None
) -> None:
    status, answer = await _call(shop, method, path, **({} if body is None else {"json": body}))
    assert (status, answer["code"]) == refusal, answer
    assert set(answer) == {"error", "code", "request_id"}
    assert sentence is None or answer["error"] == sentence


WRITES = [
    ("POST", "/v1/products"),
    ("PUT", "/v1/products/1"),
    ("DELETE", "/v1/products/1"),
    ("POST", "/v1/products/categories"),
    ("PUT", "/v1/products/categories/1"),
    ("DELETE", "/v1/products/categories/1"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_only_an_administrator_changes_anything(shop: Shop, method: str, path: str) -> None:
    options: dict[str, Any] = {} if method == "DELETE" else {"json": {}}
    answer = await shop.http.request(method, path, **options)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    forged = await shop.http.request(method, path, headers={"Authorization": "Bearer x"}, **options)
    assert (forged.status_code, forged.json()["code"]) == (401, "invalid_token")
    status, body = await _call(shop, method, path, role="user", **options)
    assert (status, body["code"]) == (403, "forbidden")


async def test_a_category_name_is_unique_without_case_and_a_used_category_stays(shop: Shop) -> None:
    category = await shop.category("Kitchen Things")
    other = await shop.category()
    for method, path in (("POST", "/v1/products/categories"), ("PUT", f"/v1/products/categories/{other}")):
        status, answer = await _call(shop, method, path, json={"name": " KITCHEN things "})
        assert (status, answer["code"]) == (409, "category_exists")
    same = await _call(shop, "PUT", f"/v1/products/categories/{category}", json={"name": "KITCHEN things"})
    assert same == (200, {"id": category, "name": "KITCHEN things"})
    listed = (await _call(shop, "GET", "/v1/products/categories"))[1]["categories"]
    assert {"id": category, "name": "KITCHEN things"} in listed

    product = await shop.product(category_id=category)
    status, answer = await _call(shop, "DELETE", f"/v1/products/categories/{category}")
    assert (status, answer["code"]) == (409, "category_in_use")
    await _call(shop, "DELETE", f"/v1/products/{product}")
    deletion = await _call(shop, "DELETE", f"/v1/products/categories/{category}")
    assert deletion == (200, {"message": "Product category deleted successfully"})
    assert (await _call(shop, "GET", f"/v1/products/categories/{category}"))[0] == 404


async def test_a_batch_read_keeps_the_order_asked_and_leaves_out_what_is_not_on_sale(shop: Shop) -> None:
    first, second, archived = [await shop.product() for _ in range(3)]
    await _call(shop, "DELETE", f"/v1/products/{archived}")
    ids = f"{second},{BIG - 1},{archived},{first},{second}"
    answer = await shop.http.get("/v1/products", params={"ids": ids})
    assert [product["id"] for product in answer.json()["products"]] == [second, first]


async def test_search_takes_patterns_literally_and_ignores_case(shop: Shop) -> None:
    category = await shop.category("Search & Find")
    names = ["100% Wool", "100x Wool", "snake_case", "snakeXcase", "back\\slash", "Ümlaut"]
    ids = {name: await shop.product(name=name, category_id=category) for name in names}
    for text, expected in {
        "0% w": ["100% Wool"],
        "E_C": ["snake_case"],
        "k\\s": ["back\\slash"],
        "%": ["100% Wool"],
        "wool": ["100% Wool", "100x Wool"],
        "ümlaut": ["Ümlaut"],
        "' OR 1=1": [],
    }.items():
        params = {"name": text, "category": "Search & Find"}
        answer = (await shop.http.get("/v1/products/search", params=params)).json()
        assert [product["id"] for product in answer["products"]] == [ids[name] for name in expected], text
        assert answer["totalPages"] == (1 if expected else 0)


async def test_pages_order_ties_by_id_and_lead_to_each_other(shop: Shop) -> None:
    category = await shop.category("Paged & 100% más")
    ids = [await shop.product(category_id=category, price=price, name="A b") for price in (2, 1, 2, 1, 2)]
    by_price = [ids[0], ids[2], ids[4], ids[1], ids[3]]
    url = "/v1/products/search"
    params: dict[str, str] | None = {
        "category": "Paged & 100% más",
        "name": "a b",
        "order_by": "price",
        "sort": "desc",
        "page_size": "2",
    }
    seen: list[int] = []
    pages = 0
    while url:
        answer = (await shop.http.get(url, params=params)).json()
        seen += [product["id"] for product in answer["products"]]
        assert (answer["pageSize"], answer["totalCount"], answer["totalPages"]) == (2, 5, 3)
        url, params, pages = answer["nextPageUrl"], None, pages + 1
        assert answer["page"] == pages
    assert (seen, pages) == (by_price, 3)


async def test_a_page_behind_the_last_is_empty_and_still_counts(shop: Shop) -> None:
    category = await shop.category("Far away")
    await shop.product(category_id=category)
    for page in (2, BIG - 1):
        params = {"category": "Far away", "page": str(page), "page_size": "100"}
        answer = (await shop.http.get("/v1/products/search", params=params)).json()
        assert answer == {
            "products": [],
            "page": page,
            "pageSize": 100,
            "totalCount": 1,
            "totalPages": 1,
            "nextPageUrl": "",
        }


async def test_prices_are_inclusive_bounds(shop: Shop) -> None:
    category = await shop.category("Bounds")
    ids = [await shop.product(category_id=category, price=price) for price in (1, 2, 3, 4)]
    params = {"category": "Bounds", "min_price": "2", "max_price": "3.5"}
    answer = (await shop.http.get("/v1/products/search", params=params)).json()
    assert [product["id"] for product in answer["products"]] == ids[1:3]


async def test_values_that_are_there_already_pass_whatever_the_limits_are(shop: Shop) -> None:
    product = await shop.product(stock=MAX_STOCK)
    path, admin = f"/v1/products/{product}", shop.token()
    # Stock of a cancelled order came back, and the price is of a time when the currency had decimals.
    await shop.value("UPDATE products SET stock = stock + 3, price = 1000.5 WHERE id = $1", product)
    await shop.cache.invalidate([product])
    whole = (await shop.http.get(path)).json()
    assert (whole["stock"], whole["price"]) == (MAX_STOCK + 3, 1000.5)
    answer = await shop.http.put(path, json=whole, headers=admin)
    assert (answer.status_code, answer.json()) == (200, whole)
    answer = await shop.http.put(path, json=whole | {"name": "Renamed"}, headers=admin)
    assert (answer.status_code, answer.json()) == (200, whole | {"name": "Renamed"})
    for change in ({"stock": MAX_STOCK + 2}, {"stock": MAX_STOCK + 4}, {"stock": 10**30}, {"price": 1000.25}):
        answer = await shop.http.put(path, json=whole | change, headers=admin)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), change
    assert (await shop.http.put(path, json={"stock": MAX_STOCK}, headers=admin)).json()["stock"] == MAX_STOCK


@pytest.mark.parametrize("comma", [",", "%2C"])
async def test_a_plain_batch_read_is_answered_past_the_router_as_any_other(shop: Shop, comma: str) -> None:
    first, second = await shop.product(), await shop.product()
    plain = comma.join(map(str, (second, first, second, 2**50)))
    answers = [await shop.http.get(f"/v1/products?ids={text}") for text in (plain, f"0{plain}")]
    assert [PLAIN_IDS.fullmatch(answer.url.query) is not None for answer in answers] == [True, False]
    assert answers[0].content == answers[1].content
    assert [product["id"] for product in answers[0].json()["products"]] == [second, first]
