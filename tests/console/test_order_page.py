"""The page of an order in a browser: it changes by itself, keeps what was opened, and is used by keyboard alone."""

import re
import time

import pytest
from playwright.async_api import expect

from fc.demo.shop import Shop
from fc.stack.local import Stack
from tests.console.kit.operator import Desk, Operator
from tests.kit import processes
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e

# An answer of a page of which a source is away.
AWAY_S = 2.5


async def test_an_order_is_followed_to_its_end_without_a_reload(
    operator: Operator, shop: Shop, back_office: BackOffice
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    payment = await payer.invoice(order)
    await operator.open(f"/orders/{order}")
    await operator.until("invoice made")
    await operator.page.evaluate("window.loadedOnce = true")
    await shop.pay(payment["invoice_id"])
    await operator.until("payment.success")
    await expect(operator.page.locator("#head .status")).to_have_text("completed", timeout=5_000)
    assert await operator.page.evaluate("window.loadedOnce") is True
    await expect(operator.page.locator("#said")).to_contain_text("completed", timeout=10_000)


async def test_what_a_person_opened_and_where_the_focus_is_outlast_a_change(
    operator: Operator, shop: Shop, back_office: BackOffice
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    payment = await payer.invoice(order)
    await operator.open(f"/orders/{order}")
    await operator.page.locator("#raw summary").click()
    region = operator.page.get_by_role("region", name="Events")
    await region.focus()
    await shop.pay(payment["invoice_id"])
    await expect(operator.page.locator("#head .status")).to_have_text("completed", timeout=5_000)
    await expect(region).to_be_focused()
    assert await operator.page.locator("#raw").get_attribute("open") is not None


async def test_a_keyboard_alone_finds_an_order_and_reads_all_of_it(
    operator: Operator, shop: Shop, back_office: BackOffice
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    await payer.invoice(order)
    await operator.open("/")
    keyboard = operator.page.keyboard
    await keyboard.press("Tab")
    await expect(operator.page.locator(".skip")).to_be_focused()
    for _ in range(3):
        await keyboard.press("Tab")
        if await operator.page.locator("#search").evaluate("item => item === document.activeElement"):
            break
    await keyboard.type(str(order))
    await keyboard.press("Enter")
    await expect(operator.page.get_by_role("heading", level=1)).to_have_text(f"Order {order}")
    reached = set()
    for _ in range(40):
        await keyboard.press("Tab")
        label = await operator.page.evaluate("document.activeElement.getAttribute('aria-label')")
        reached.add(label)
    assert {"Events", "Stock"} <= reached


async def test_a_slash_leads_to_the_search_box(operator: Operator) -> None:
    await operator.open("/")
    await operator.page.keyboard.press("/")
    await expect(operator.page.locator("#search")).to_be_focused()


async def test_the_dossier_is_a_file(operator: Operator, shop: Shop, back_office: BackOffice) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    await operator.open(f"/orders/{order}")
    async with operator.page.expect_download() as download:
        await operator.page.get_by_role("link", name=re.compile("Download")).click()
    assert (await download.value).suggested_filename == f"order-{order}.json"


@pytest.mark.parametrize("away", ["userfc", "productfc", "orderfc", "paymentfc", "redis", "kafka"])
async def test_without_a_source_the_page_is_there_in_time_and_names_it(
    desk: Desk, stack: Stack, shop: Shop, back_office: BackOffice, away: str
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    await payer.invoice(order)
    names = [broker.name for broker in stack.programs.brokers] if away == "kafka" else [away]
    async with desk.plain() as http, processes.stopped(stack, *names):
        begun = time.monotonic()
        answer = await http.get(f"/orders/{order}")
        lasted = time.monotonic() - begun
    assert (answer.status_code, "order.created" in answer.text) == (200, True)
    assert lasted < AWAY_S
    # Neither has rows of its own: userfc says who a person is, and Redis which tokens were revoked.
    assert away in ("userfc", "redis") or f"{away} did not answer" in answer.text
