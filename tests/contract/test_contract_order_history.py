"""The contract of reading orders: history, its filters and pages, and single orders, over the running stack."""

import pytest

from fc.demo.shop import Customer, Shop
from tests.contract.api import Api
from tests.kit.answers import outcome
from tests.kit.back_office import BackOffice


async def test_the_link_of_a_page_of_history_leads_through_all_orders_newest_first(
    api: Api, back_office: BackOffice
) -> None:
    visitor = await api.visitor()
    product = await back_office.product(stock=5)
    orders = [await visitor.checkout(product, 1) for _ in range(5)]
    path, seen, pages = "/v1/orders/history?limit=2&status=0", [], 0
    while path:
        answer = await api.ask("orderfc", "GET", path, visitor)
        seen += [order["order_id"] for order in answer.json()]
        pages += 1
        following = answer.links.get("next", {}).get("url", "")
        assert "link" not in answer.headers or answer.headers["link"] == f'<{following}>; rel="next"'
        path = following
    assert (seen, pages) == (orders[::-1], 3)
    older = await api.ask("orderfc", "GET", f"/v1/orders/history?before_id={orders[1]}", visitor)
    assert [order["order_id"] for order in older.json()] == [orders[0]]
    assert "link" not in older.headers


async def test_history_is_filtered_by_name_or_number_of_a_status(api: Api, back_office: BackOffice, shop: Shop) -> None:
    visitor = await api.visitor()
    product = await back_office.product(stock=2)
    new, gone = await visitor.checkout(product, 1), await visitor.checkout(product, 1)
    await shop.expire((await visitor.invoice(gone))["invoice_id"])
    await visitor.wait_status(gone, "cancelled")
    expected = {"0": [new], "created": [new], "3": [gone], "cancelled": [gone], "2": [], "completed": [], "4": []}
    for status, found in expected.items():
        answer = await api.ask("orderfc", "GET", f"/v1/orders/history?status={status}", visitor)
        assert [shown["order_id"] for shown in answer.json()] == found, status


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "status=5", "status=Created", "status=-1", "before_id=0", "limit="]
)
async def test_a_query_of_history_outside_the_allowed_values_is_400(api: Api, alice: Customer, query: str) -> None:
    answer = await api.ask("orderfc", "GET", f"/v1/orders/history?{query}", alice)
    assert outcome(answer) == (400, "validation_failed")


async def test_an_unknown_order_is_404_and_an_invalid_id_400(api: Api, alice: Customer) -> None:
    assert outcome(await api.ask("orderfc", "GET", f"/v1/orders/{2**62}", alice)) == (404, "not_found")
    for wrong in ("0", "-1", "abc", str(2**63)):
        assert outcome(await api.ask("orderfc", "GET", f"/v1/orders/{wrong}", alice)) == (400, "validation_failed")
