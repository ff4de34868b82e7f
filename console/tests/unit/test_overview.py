"""The first page, and what it is made of."""

import re
from typing import Any

from console.usecase.gather_overview import UnfinishedCache

from .browser import Browser
from .looks import NoBacklog, NoLetters, looked, served

HOSTILE = "<script>alert(1)</script>\"'&"
ORDERS: dict[str, Any] = {
    "items": [
        {
            "order_id": number,
            "status": status,
            "total_amount": 90000,
            "currency": "IDR",
            "total_qty": 2,
            "created_at": "2026-11-28T08:30:00.125Z",
            "updated_at": "2026-11-28T08:30:01Z",
        }
        for number, status in ((43, "created"), (42, "completed"))
    ],
    "next_before_id": None,
}


async def test_the_page_shows_services_counts_and_the_newest_orders(browser: Browser) -> None:
    browser.sign_in()
    behind = served(browser, {"/v1/admin/orders": ORDERS})
    behind.shown["orderfc"].pending.set(3)
    behind.shown["orderfc"].oldest.set(12)
    behind.shown["paymentfc"].anomalies.labels("amount_mismatch").set(2)
    await looked(browser, behind)
    answer = await browser.get("/")
    assert answer.status_code == 200
    for text in ("All services are ready", "version 1.2.3", 'href="/orders/43"', "completed", "oldest 12.0 s"):
        assert text in answer.text, text
    assert re.search(r'id="tile-money">.*?>2<.*?2 amount mismatch', answer.text, re.S)
    assert "did not answer" not in answer.text
    orders = [request for request in browser.platform.asked if request.url.path == "/v1/admin/orders"]
    assert {request.headers["authorization"] for request in orders} == {
        f"Bearer {browser.http.cookies['console_session']}"
    }
    assert b"limit=10" in {request.url.query for request in orders}


async def test_before_the_first_look_nothing_is_known_and_it_says_so(browser: Browser) -> None:
    browser.sign_in()
    served(browser, {"/v1/admin/orders": {"items": [], "next_before_id": None}})
    answer = await browser.get("/")
    assert answer.status_code == 200
    assert "Not known yet" in answer.text
    assert "No order yet" in answer.text


async def test_a_service_that_is_away_is_named_and_the_rest_is_shown(browser: Browser) -> None:
    browser.sign_in()
    behind = served(browser, {"/v1/admin/orders": ORDERS})
    await looked(browser, behind)
    behind.away = {"productfc"}
    await browser.app.state.watch.look(None)
    answer = await browser.get("/")
    assert "productfc is away" in answer.text
    assert re.search(r'class="node bad" id="node-productfc"', answer.text)
    assert re.search(r'class="node good" id="node-orderfc"', answer.text)


async def test_without_orderfc_the_page_names_it_and_has_no_orders(browser: Browser) -> None:
    browser.sign_in()
    behind = served(browser, {"/v1/admin/orders": ORDERS})
    await looked(browser, behind)
    browser.platform.away = {"orderfc"}
    answer = await browser.get("/")
    assert answer.status_code == 200
    assert "orderfc did not answer (ConnectError)" in answer.text
    assert "No order yet" not in answer.text


async def test_letters_that_are_not_read_are_not_a_green_zero(browser: Browser) -> None:
    browser.sign_in()
    behind = served(browser, {"/v1/admin/orders": ORDERS})
    letters = NoLetters()
    letters.unread = 5
    browser.app.state.unfinished = UnfinishedCache(NoBacklog(), letters)
    await looked(browser, behind)
    text = (await browser.get("/")).text
    assert re.search(r'id="tile-letters">.*?>-<.*?badge off">unknown<.*?5 more are not read', text, re.S)
    assert re.search(r'id="tile-waiting">.*?>\d+\+<', text, re.S)


async def test_what_services_say_is_text(browser: Browser) -> None:
    browser.sign_in()
    orders = {"items": [{**ORDERS["items"][0], "status": HOSTILE, "currency": HOSTILE}], "next_before_id": None}
    behind = served(browser, {"/v1/admin/orders": orders})
    behind.checks["orderfc"] = {HOSTILE: HOSTILE}
    behind.shown["paymentfc"].anomalies.labels(HOSTILE).set(1)
    behind.shown["orderfc"].orders.labels(HOSTILE, "checkout").inc()
    await looked(browser, behind)
    for path in ("/", "/services/orderfc", "/metrics-explorer"):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text, path
        assert "&lt;script&gt;alert" in answer.text, path


async def test_a_redirect_leads_to_the_log_in_when_the_token_has_ended(browser: Browser) -> None:
    browser.sign_in()
    served(browser, {})
    browser.platform.statuses = {"orderfc": 401}
    answer = await browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")
