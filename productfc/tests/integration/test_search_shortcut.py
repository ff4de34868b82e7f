"""A search past the router is answered as its route answers it."""

from urllib.parse import quote

import pytest

from .conftest import Shop

PATH = "/v1/products/search"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "name=kopi%20susu",
        "name=Kopi+Susu&page_size=1",
        f"name={quote('é%_')}&sort=desc&order_by=price&page_size=1&page=2",
        "min_price=10&max_price=2000.50&order_by=stock",
        "category=None",
        "page=9223372036854775807",
        "name=",
        "name",
        "name=a&name=b",
        "page=0",
        "page=1.0",
        "page_size=101",
        "order_by=colour",
        "min_price=2&max_price=1",
        "min_price=1e3",
        "colour=red",
        "name=%ff",
        "name=%E2%80%8B",
        "name=a;page=2",
        "&name=a&",
    ],
)
async def test_a_search_past_the_router_is_answered_as_by_the_route(
    shop: Shop, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Kopi Susu", "Kopi Susu 2", "Te\u0301%_", "\u00e9%_ 1", "\u00e9%_ 2"):
        await shop.product(name=name, price=1000)
    address = f"{PATH}?{query}"
    short = await shop.http.get(address, headers={"x-request-id": "r"})
    monkeypatch.setattr(shop.app.state.shortcuts, "_by_start", {})
    by_route = await shop.http.get(address, headers={"x-request-id": "r"})
    assert (short.status_code, short.content) == (by_route.status_code, by_route.content)
    assert sorted(short.headers.items()) == sorted(by_route.headers.items())
