"""The page of an order in a browser: it changes by itself, and keeps what was opened."""

import asyncio
import re
import time
from itertools import pairwise

import pytest
from playwright.async_api import expect

from fc.demo.shop import Shop
from fc.ops import connections
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.console.kit.heard import Heard
from tests.console.kit.operator import Desk, Operator
from tests.kit import processes
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus

pytestmark = pytest.mark.e2e

# An answer of a page of which a source is away.
AWAY_S = 2.5
CHANGES, CHANGES_S = 20, 3
# A screen reader is told at most one sentence in this time.
SENTENCE_S = 5.0
# A sentence that a busy machine brings late is followed sooner by the next one.
LATE_S = 1.0
_SET = "UPDATE payments SET status = $2, paid_at = CASE $2 WHEN 'PAID' THEN now() END WHERE order_id = $1"


async def test_an_order_is_followed_to_its_end_without_a_reload_and_seldom_spoken_of(
    operator: Operator, shop: Shop, back_office: BackOffice, sources: Sources, bus: Bus
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    payment = await payer.invoice(order)
    await operator.open(f"/orders/{order}")
    await operator.until("invoice made")
    heard = await Heard.listen(operator.page)
    await _restless(sources, bus, order)
    await shop.pay(payment["invoice_id"])
    await operator.until("payment.success")
    await expect(operator.page.locator("#head .status")).to_have_text("completed", timeout=5_000)
    await expect(operator.page.locator("#said")).to_contain_text("completed", timeout=10_000)
    # What was heard would be gone after a reload.
    sentences = await heard.sentences()
    assert 1 <= len(sentences) <= 4, sentences
    gaps = [later.at - earlier.at for earlier, later in pairwise(sentences)]
    assert all(gap > SENTENCE_S - LATE_S for gap in gaps), sentences


async def _restless(sources: Sources, bus: Bus, order: int) -> None:
    """Change what an order waits for 20 times in 3 s, and write a record that everybody knows each time."""
    [known] = [event for event in await bus.events_of(order) if event.topic == "order.created"]
    async with connections.database("paymentfc", sources.databases["paymentfc"]) as database:
        for number in range(CHANGES):
            status = "PENDING" if number % 2 else "PAID"
            await database.execute(_SET, order, status)
            await bus.send(known, fresh_id=False)
            await asyncio.sleep(CHANGES_S / CHANGES)


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
