"""Every page: what it weighs, what it loads, whom it shuts out, and that nothing sticks out of it."""

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Request

from fc.demo.shop import Customer, Shop
from tests.console.kit.operator import Desk, Operator
from tests.console.kit.pages import ADDRESSES, addresses, status
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e

FIRST_BYTES, AGAIN_BYTES, REQUESTS = 60_000, 15_000, 6
# With charts.
HEAVIER = {"/metrics-explorer": 85_000}
# With a whole document.
HEAVIER_AGAIN = {"/runbook": 25_000}
WIDTHS = (320, 768, 1440)
# The rules of WCAG 2.2 to level AA, and what axe's authors recommend beyond.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_OUTSIDE = """() => {
  const width = document.documentElement.clientWidth;
  const inside = (item) => {
    for (let each = item.parentElement; each; each = each.parentElement) {
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(each).overflowX)) return true;
    }
    return false;
  };
  const wide = [...document.querySelectorAll("body *")].filter((item) => {
    const box = item.getBoundingClientRect();
    return box.width && (box.right > width + 1 || box.left < -1) && !item.closest(".hidden, .skip") && !inside(item);
  });
  if (document.documentElement.scrollWidth > width) wide.push(document.documentElement);
  return wide.map((item) => item.outerHTML.slice(0, 100));
}"""


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_shuts_anybody_out(desk: Desk, order: int, scheme: str) -> None:
    axe, options = Axe(), {"runOnly": {"type": "tag", "values": RULES}}
    async with desk.operator(color_scheme=scheme, reduced_motion="reduce") as operator:
        for address in addresses(order):
            await operator.open(address, status(address))
            found = await axe.run(operator.page, options=options)
            told = [
                f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
                for each in found.response["violations"]
            ]
            assert told == [], (address, scheme)


@pytest.mark.parametrize("width", WIDTHS)
async def test_nothing_sticks_out(desk: Desk, order: int, width: int) -> None:
    async with desk.operator(viewport={"width": width, "height": 800}) as operator:
        for address in addresses(order):
            await operator.open(address, status(address))
            assert await operator.page.evaluate(_OUTSIDE) == [], (address, width)


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
