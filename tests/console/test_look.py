"""Every page: what it weighs, what it loads, whom it shuts out, and that nothing sticks out of it."""

import re
from collections.abc import AsyncIterator
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Request

from fc.demo.shop import Customer, Shop
from tests.console.kit.operator import Desk, Operator
from tests.console.kit.pages import ADDRESSES, addresses, status
from tests.console.kit.windows import Window, Windows
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e

Scheme = Literal["light", "dark"]

FIRST_BYTES, AGAIN_BYTES, REQUESTS = 60_000, 15_000, 6
# With charts.
HEAVIER = {"/metrics-explorer": 85_000}
# With a whole document.
HEAVIER_AGAIN = {"/runbook": 25_000}
# Widths of a window, and the zoom: at 200 % a window of 1280 x 800 has half as many CSS pixels, of twice the size.
WINDOWS = (
    Window(320, 800),
    Window(768, 800),
    Window(1440, 800),
    Window(640, 400, scale=2.0),
    # Text alone is twice as large, as with a larger font in the settings of the browser.
    Window(1280, 800, text="200%"),
)
WHOLE = Window(1280, 800)
# The rules of WCAG 2.2 to level AA, and what axe's authors recommend beyond.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
AXE: dict[Scheme, dict[str, Any]] = {
    "light": {"runOnly": {"type": "tag", "values": RULES}},
    "dark": {"runOnly": {"type": "rule", "values": COLOURS}},
}


@pytest.fixture(scope="session")
async def order(shop: Shop, back_office: BackOffice) -> int:
    """An order that was paid too late: of all, its page has the most to show."""
    payer: Customer = await shop.newcomer()
    found = await payer.checkout(await back_office.product(5), 2)
    invoice = (await payer.invoice(found))["invoice_id"]
    await payer.cancel(found)
    await shop.live_invoices(found)
    await shop.pay_late(invoice)
    await payer.wait_status(found, "failed")
    return found


@pytest.fixture
async def clean(operator: Operator) -> AsyncIterator[Operator]:
    """A page whose console has no line at the end: nothing was refused by the policy, and no script failed."""
    lines: list[str] = []
    operator.page.on("console", lambda line: lines.append(line.text) if line.type in ("error", "warning") else None)
    operator.page.on("pageerror", lambda error: lines.append(str(error)))
    yield operator
    assert [line for line in lines if "404 (Not Found)" not in line] == []


class Traffic:
    """What a page has loaded, without its stream."""

    def __init__(self, operator: Operator) -> None:
        self._url = operator.url
        self.requests: list[Request] = []
        operator.page.on("requestfinished", self._add)

    def _add(self, request: Request) -> None:
        if "/live" not in request.url and not request.url.startswith("data:"):
            self.requests.append(request)

    async def bytes(self) -> int:
        sizes = [await request.sizes() for request in self.requests]
        return sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)

    def others(self) -> list[str]:
        return [each.url for each in self.requests if urlsplit(each.url).netloc != urlsplit(self._url).netloc]


async def test_each_page_keeps_its_budget_of_bytes_and_requests(desk: Desk, order: int) -> None:
    report: dict[str, Any] = {}
    for address in addresses(order):
        async with desk.operator() as operator:
            first = Traffic(operator)
            await operator.open(address, status(address))
            await operator.page.wait_for_load_state("load")
            first_bytes, count, others = await first.bytes(), len(first.requests), first.others()
            again = Traffic(operator)
            await operator.open(address, status(address))
            await operator.page.wait_for_load_state("load")
            report[address] = (first_bytes, count, await again.bytes(), others)
    for address, (first_bytes, count, again_bytes, others) in report.items():
        assert first_bytes <= HEAVIER.get(address, FIRST_BYTES), address
        assert again_bytes <= HEAVIER_AGAIN.get(address, AGAIN_BYTES), address
        assert count <= REQUESTS, address
        assert others == [], address


async def test_no_page_has_code_or_style_of_its_own(clean: Operator, order: int) -> None:
    for address in addresses(order):
        answer = await clean.open(address, status(address))
        text = await answer.text()
        assert not re.search(r'<script(?! src="/static/)|<style|\sstyle=|\son[a-z]+=|javascript:', text), address


async def test_no_page_shuts_anybody_out(desk: Desk, order: int) -> None:
    """In the dark theme only colours differ."""
    axe = Axe()
    async with desk.operator(reduced_motion="reduce") as operator:
        for address in addresses(order):
            await operator.open(address, status(address))
            for scheme, options in AXE.items():
                await operator.page.emulate_media(color_scheme=scheme)
                found = await axe.run(operator.page, options=options)
                told = [
                    f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
                    for each in found.response["violations"]
                ]
                assert told == [], (address, scheme)


async def test_nothing_sticks_out_and_nothing_is_lost_in_any_window_and_at_200_percent(desk: Desk, order: int) -> None:
    async with desk.operator() as operator:
        # Texts are compared: the page stays as it was loaded.
        await operator.page.route("**/live/**", lambda route: route.abort())
        windows = await Windows.of(operator.page)
        wrong: list[Any] = []
        for address in addresses(order):
            await operator.open(address, status(address))
            texts = await windows.texts(WHOLE)
            for window in WINDOWS:
                outside, lost = await windows.outside(window), texts - await windows.texts(window)
                wrong += [(address, window, outside, lost)] if outside or lost else []
        assert wrong == []


async def test_each_page_reads_without_javascript(desk: Desk, order: int) -> None:
    async with desk.operator(java_script_enabled=False) as plain, desk.operator() as scripted:
        for address in addresses(order):
            await plain.open(address, status(address))
            await scripted.open(address, status(address))
            titles = [await each.page.locator("main h1, main h2").all_inner_texts() for each in (plain, scripted)]
            assert titles[0], address
            assert titles[0] == titles[1], address


async def test_each_page_of_the_navigation_is_one_and_says_which(operator: Operator) -> None:
    for address in ADDRESSES:
        await operator.open(address)
        current = operator.page.locator(".navigation [aria-current=page]")
        assert await current.count() == 1, address
        assert await current.get_attribute("href") == address
        assert await operator.page.locator("main h1").count() == 1, address
        titles = await operator.page.title()
        assert titles.endswith("- Go Commerce"), address
