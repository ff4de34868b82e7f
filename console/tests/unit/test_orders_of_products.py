"""The list of orders by product, and where few orders fit."""

from typing import Any

import pytest

from .browser import Browser
from .desk import Desk
from .listing import listed, open_desk, order, orders, products

NEVER: dict[str, Any] = {"items": [], "next_before_id": None}


@pytest.fixture
def desk(browser: Browser) -> Desk:
    return open_desk(browser)


async def test_without_a_step_nobody_is_asked_what_waits(desk: Desk) -> None:
    orders(desk, order(7), products={3: {7}})
    await desk.text("/orders?product=3")
    assert [request.url.host for request in desk.browser.platform.asked] == ["orderfc", "userfc"]
    assert desk.browser.platform.asked[0].url.params["product_id"] == "3"


async def test_a_product_is_found_by_its_name_and_said_and_the_links_have_its_id(desk: Desk) -> None:
    kept = orders(desk, *(order(number) for number in range(1, 101)), products={1: set(range(1, 101)), 2: {7}})
    products(desk, "Kopi Susu")
    text = await desk.text("/orders?product=susu")
    assert listed(text) == list(range(100, 50, -1))
    assert "Orders of Kopi Susu (1)." in text
    assert 'href="/orders?product=1&amp;before=51"' in text
    assert 'href="/orders.csv?product=1"' in text
    assert 'name="product" type="text" value="susu"' in text
    products(desk, "Es Kopi", "Kopi", "Kopi Susu")
    text = await desk.text("/orders?product=KOPI")
    assert (listed(text), "Orders of Kopi (2)." in text) == ([7], True)
    assert kept.asked[-1]["product_id"] == "2"


@pytest.mark.parametrize(
    ("names", "total"), [(["Kopi", "Es Kopi", "kopi"], 3), (["Kopi", *["Kopi Susu"] * 19], 21), (["Kopi"] * 2, 2)]
)
async def test_a_product_that_may_not_be_the_only_one_with_its_name_is_to_be_chosen(
    desk: Desk, names: list[str], total: int
) -> None:
    kept = orders(desk, order(7))
    products(desk, *names, total=total)
    text = await desk.text("/orders?product=Kopi")
    assert f"{total} products have “Kopi” in their names: choose one" in text
    assert '<a href="/orders?product=1">Kopi (1)</a>' in text
    assert ("The first 20 are shown: type more of the name, or the id" in text) is (total > 20)
    assert not kept.asked


async def test_of_several_products_with_a_name_one_is_to_be_chosen(desk: Desk) -> None:
    kept = orders(desk, order(7))
    products(desk, "Es Kopi", "<b>Kopi Susu", total=34)
    text = await desk.text("/orders?product=kopi&status=failed")
    assert "34 products have “kopi” in their names: choose one" in text
    assert '<a href="/orders?status=failed&amp;product=2">&lt;b&gt;Kopi Susu (2)</a>' in text
    assert (await desk.browser.get("/orders.csv?product=kopi")).status_code == 400
    assert not kept.asked


async def test_a_product_that_is_not_found_is_said_and_no_order_is_asked_for(desk: Desk) -> None:
    kept = orders(desk, order(7))
    products(desk)
    assert "No product on sale has “teh” in its name" in await desk.text("/orders?product=teh")
    desk.browser.platform.away = {"productfc"}
    assert "could not be looked up by its name" in await desk.text("/orders?product=teh")
    assert not kept.asked


async def test_where_few_orders_fit_some_pages_are_read_before_the_next_one_is_offered(desk: Desk) -> None:
    desk.say("orderfc", "orders", lambda request: {**NEVER, "next_before_id": _before(request) - 10_000})
    text = await desk.text("/orders?product=3")
    assert "The next page looks further" in text
    assert f'href="/orders?product=3&amp;before={10**6 - 50_000}"' in text
    answers = {10**6: {**NEVER, "next_before_id": 5}, 5: {"items": [order(4)], "next_before_id": 3}}
    desk.say("orderfc", "orders", lambda request: answers[_before(request)])
    text = await desk.text("/orders?product=3")
    assert (listed(text), 'href="/orders?product=3&amp;before=3"' in text) == ([4], True)
    desk.say("orderfc", "orders", NEVER)
    assert "No order fits the filters. Take one of them away" in await desk.text("/orders?product=3")


def _before(request: Any) -> int:
    return int(request.url.params.get("before_id", 10**6))


@pytest.mark.parametrize(("away", "query"), [("userfc", "customer=alice@example.com"), ("productfc", "product=teh")])
async def test_a_file_whose_filter_could_not_be_looked_up_is_no_answer(desk: Desk, away: str, query: str) -> None:
    desk.browser.platform.away = {away}
    answer = await desk.browser.get(f"/orders.csv?{query}")
    assert (answer.status_code, f"{away} did not answer" in answer.text) == (503, True)
    assert "orderfc did not answer" not in answer.text
