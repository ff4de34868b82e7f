"""The lab: bounded forms that order, pay and break things in development, and that production does not have."""

import json
import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2
import pytest

from console.client.admin_api import NoAnswer
from console.handler.session import COOKIE

from .browser import ORIGIN, Browser

FORMS = {
    "place": {"product": "7", "count": "3", "quantity": "2", "end": "pay"},
    "end": {"order": "42", "end": "pay"},
    "race": {"product": "7", "buyers": "4"},
    "poison": {"topic": "order.created", "sort": "no_json"},
    "preset": {"preset": "lost"},
    "switches": {"switches": '{"auto_pay": true}'},
}


@dataclass
class Market:
    """Services and simulator that take orders; `units` are left, `refuses` names a service that answers 429."""

    units: int = 100
    status: str = "PENDING"
    refuses: str = ""
    orders: dict[int, str] = field(default_factory=dict)
    provider: list[tuple[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    switches: dict[str, Any] = field(default_factory=lambda: {"auto_pay": False})
    numbers: Any = field(default_factory=lambda: count(101))
    poison: list[tuple[str, str, bytes | None]] = field(default_factory=list)

    @property
    def did_anything(self) -> bool:
        return bool(self.orders or self.provider or self.poison)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path, body = request.url.path, json.loads(request.content or b"null")
        service = {"localhost": "xendit"}.get(request.url.host, request.url.host)
        if service != "xendit":
            self.tokens.add(request.headers["authorization"])
        if service == self.refuses:
            return httpx2.Response(429, json={"error": "Too many requests"})
        answer = self._xendit(path, body, request.method) if service == "xendit" else self._answer(path, body)
        return httpx2.Response(200, json=answer)

    def _answer(self, path: str, body: Any) -> Any:
        product = {"id": 7, "name": "Vase", "price": 90000, "stock": self.units}
        if path == "/v1/products/search":
            return {"products": [product]}
        if path == "/v1/products/7":
            self.units = body["stock"] if body else self.units
            return product
        if path == "/v1/orders/checkout":
            self.units -= 1
            order = next(self.numbers)
            self.orders[order] = "created" if self.units >= 0 else "cancelled"
            return {"order_id": order}
        if path.startswith("/v1/orders/"):
            return {"status": self.orders[int(path.rpartition("/")[2])]}
        return {
            "invoice_id": f"inv-{path.rpartition('/')[2]}",
            "invoice_url": "http://x",
            "amount": 90000,
            "status": self.status,
        }

    def _xendit(self, path: str, body: Any, method: str) -> Any:
        if path == "/_sim/faults":
            self.switches = body if method == "PUT" else self.switches
            return self.switches
        self.provider.append((path.removeprefix("/_sim/invoices/"), body))
        self.status = "EXPIRED" if path.endswith("/expire") else "PENDING"
        return {}

    async def send(self, topic: str, key: str, value: bytes | None) -> tuple[int, int]:
        if self.refuses == "kafka":
            raise NoAnswer("kafka: KafkaConnectionError")
        self.poison.append((topic, key, value))
        return 3, 8


@pytest.fixture
async def market(browser: Browser) -> Any:
    made = Market()
    browser.app.state.http = httpx2.AsyncClient(transport=httpx2.MockTransport(made))
    browser.app.state.poison = made
    browser.sign_in()
    yield made
    await browser.app.state.http.aclose()


async def do(browser: Browser, action: str, **changed: str) -> httpx2.Response:
    form = await browser.form("/lab")
    return await browser.post(f"/lab/{action}", form=form, **{**FORMS[action], **changed})


async def done(browser: Browser) -> str:
    page = (await browser.get("/lab")).text
    return page[page.index('id="done"') :]


async def test_orders_are_placed_with_the_persons_own_token_and_paid(browser: Browser, market: Market) -> None:
    answer = await do(browser, "place")
    assert (answer.status_code, answer.headers["location"]) == (303, "/lab#done")
    assert sorted(market.orders) == [101, 102, 103]
    assert sorted(market.provider) == [(f"inv-{order}/pay", {}) for order in (101, 102, 103)]
    assert market.tokens == {f"Bearer {browser.http.cookies[COOKIE]}"}
    text = await done(browser)
    assert "Placed 3 of 3 orders; then: pay" in text
    assert all(f'href="/orders/{order}"' in text for order in (101, 102, 103))


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("expire", [("inv-42/expire", {})]),
        ("wrong", [("inv-42/pay", {"amount": 90001.0})]),
        ("twice", [("inv-42/pay", {"times": 2})]),
        ("late", [("inv-42/expire", {}), ("inv-42/pay", {"after_expiry": True})]),
    ],
)
async def test_an_order_is_ended_as_the_form_says(
    browser: Browser, market: Market, end: str, expected: list[tuple[str, Any]]
) -> None:
    assert (await do(browser, "end", end=end)).status_code == 303
    assert market.provider == expected


async def test_a_race_sets_the_stock_to_one_and_shows_who_took_part(browser: Browser, market: Market) -> None:
    assert (await do(browser, "race")).status_code == 303
    assert sorted(market.orders.values()) == ["cancelled"] * 3 + ["created"]
    assert "4 checkouts raced for one unit; 4 became orders" in await done(browser)


async def test_what_is_refused_is_said_and_counted(browser: Browser, market: Market) -> None:
    market.refuses = "orderfc"
    assert (await do(browser, "place")).status_code == 303
    text = await done(browser)
    assert "Placed 0 of 3 orders" in text
    assert "3 x orderfc answers 429: Too many requests" in text


async def test_poison_is_about_an_order_that_does_not_exist(browser: Browser, market: Market) -> None:
    await do(browser, "poison")
    assert market.poison == [("order.created", "order-7100000000", b"this is no JSON")]
    assert 'href="/events?topic=order.created.dlq"' in await done(browser)
    market.refuses = "kafka"
    assert "kafka: KafkaConnectionError" in (await do(browser, "poison")).text


async def test_the_simulators_switches_are_set_one_fault_at_a_time_or_all(browser: Browser, market: Market) -> None:
    await do(browser, "preset")
    assert market.switches == {"drop_webhooks": True}
    await do(browser, "switches")
    assert market.switches == {"auto_pay": True}
    await do(browser, "preset", preset="none")
    assert market.switches == {}


@pytest.mark.parametrize(
    ("action", "changed"),
    [
        ("place", {"count": "51"}),
        ("place", {"count": "0"}),
        ("place", {"quantity": "6"}),
        ("place", {"product": "x"}),
        ("place", {"end": "steal"}),
        ("end", {"order": "²"}),
        ("race", {"buyers": "1"}),
        ("race", {"buyers": "21"}),
        ("poison", {"topic": "operations.journal"}),
        ("poison", {"sort": ""}),
        ("preset", {"preset": "x"}),
        ("switches", {"switches": "[1]"}),
        ("switches", {"switches": "{" * 5_000}),
    ],
)
async def test_every_field_is_bounded(browser: Browser, market: Market, action: str, changed: dict[str, str]) -> None:
    answer = await do(browser, action, **changed)
    assert answer.status_code == 400
    assert 'class="problem" role="alert"' in answer.text
    assert not market.did_anything
    assert market.switches == {"auto_pay": False}


@pytest.mark.parametrize("action", FORMS)
async def test_without_this_sessions_form_nothing_is_done(browser: Browser, market: Market, action: str) -> None:
    form = await browser.form("/lab")
    for origin, token in (("http://evil.example", form), (None, form), (ORIGIN, ""), (ORIGIN, "0" * 64)):
        answer = await browser.post(f"/lab/{action}", origin, form=token, **FORMS[action])
        assert answer.status_code == 403
    assert not market.did_anything
    assert market.switches == {"auto_pay": False}


async def test_production_has_no_lab(browser: Browser, market: Market) -> None:
    form = await browser.form("/lab")
    assert 'href="/lab"' in (await browser.get("/lab")).text
    browser.app.state.settings = browser.settings.model_copy(update={"environment": "production"})
    assert (await browser.get("/lab")).status_code == 404
    for action, fields in FORMS.items():
        assert (await browser.post(f"/lab/{action}", form=form, **fields)).status_code == 404
    assert not market.did_anything
    assert 'href="/lab"' not in (await browser.get("/runbook")).text


async def test_what_came_from_outside_is_text(browser: Browser, market: Market) -> None:
    hostile = "<script>alert(1)</script>\"'&"
    market.switches = {hostile: hostile}
    await do(browser, "end")
    page = (await browser.get("/lab")).text
    assert not re.search(r"<script>|style=|\son\w+=", page)
    assert "&lt;script&gt;" in page


async def test_without_services_and_simulator_the_page_says_so(browser: Browser) -> None:
    browser.sign_in()
    browser.platform.away = {"productfc", "localhost"}
    answer = await browser.get("/lab")
    assert answer.status_code == 200
    assert "The products could not be read: productfc: ConnectError" in answer.text
    assert "The simulator of Xendit did not answer: xendit: ConnectError" in answer.text
