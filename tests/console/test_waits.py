"""Each step that an order can wait for, caused for real: pages and commands name it in time, and no more afterwards."""

import os
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from playwright.async_api import expect

from console.model.steps import Step
from fc.demo.shop import Shop, poll
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.console.kit.causes import CAUSES, World
from tests.console.kit.operator import SOON_S, Desk, Operator
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus
from tests.ops.conftest import Run, lines

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

# After its cause a retry with backoff, or a service that starts, comes first.
GONE_S = 40.0
# These stop a service or Kafka: `make faults`.
LONG = (Step.PAYMENT, Step.RESULT, Step.OUTBOX)
STEPS = [
    pytest.param(step, marks=pytest.mark.skipif(os.environ.get("FAULTS") != "all", reason="make faults"))
    if step in LONG
    else step
    for step in CAUSES
]


@pytest.fixture
async def world(
    stack: Stack,
    shop: Shop,
    back_office: BackOffice,
    bus: Bus,
    sources: Sources,
    client: httpx2.AsyncClient,
    fc: Run,
) -> World:
    return World(stack, shop, back_office, bus, sources, client, fc, await shop.newcomer())


@pytest.fixture
async def listing(desk: Desk, shop: Shop) -> AsyncIterator[Operator]:
    """Another page, for the list of all orders that wait."""
    async with desk.operator() as opened:
        yield opened


async def said(fc: Run, order: int, *options: str) -> tuple[str, str]:
    """Return the step that `fc stuck` names for an order, and the cause; nothing for an order that does not wait."""
    found = lines(await fc("stuck", "--older-than", "0", "--json", *options))
    waits = [(wait["step"], wait["because"].partition(":")[0]) for wait in found if wait["order_id"] == order]
    assert len(waits) < 2, waits
    return waits[0] if waits else ("", "")


def test_each_step_has_its_cause() -> None:
    assert {*CAUSES, Step.REFUND} == set(Step)


@pytest.mark.parametrize("step", STEPS)
async def test_a_wait_is_named_within_five_seconds_without_a_reload_and_goes_with_its_cause(
    world: World, operator: Operator, listing: Operator, step: Step
) -> None:
    cause, because = CAUSES[step]
    await listing.open(f"/waiting?step={step.value}")
    await listing.page.evaluate("window.loadedOnce = true")
    row = listing.page.locator("main")
    async with cause(world) as order:
        await operator.open(f"/orders/{order}")
        await operator.page.evaluate("window.loadedOnce = true")
        await expect(operator.page.locator("#waits")).to_contain_text(because, timeout=SOON_S * 1000)
        row = listing.page.locator(f"#wait-{order}")
        # The page shows the oldest of a group, and other tests leave orders unpaid.
        if step is not Step.CUSTOMER:
            await expect(row).to_be_visible(timeout=SOON_S * 1000)
            await expect(listing.page.locator("section", has=row)).to_contain_text(because)
        if step is not Step.OUTBOX:
            services = await said(world.fc, order, "--from", "services")
            assert services[0] == step.value
            assert services[1].startswith(because)
        databases = await said(world.fc, order)
        assert databases[0] == step.value
        assert databases[1].startswith(because)
        if step is Step.ANOMALY:
            await _give_back(operator, order)
    await expect(operator.page.locator("#waits", has_text=because)).to_have_count(0, timeout=GONE_S * 1000)
    await expect(row).to_have_count(0, timeout=GONE_S * 1000)
    for page in (listing.page, *([] if step is Step.ANOMALY else [operator.page])):
        assert await page.evaluate("window.loadedOnce") is True

    async def gone() -> bool:
        return await said(world.fc, order) == ("", "")

    await poll(gone, f"fc stuck says no more that order {order} waits", GONE_S, 0.5)


async def _give_back(operator: Operator, order: int) -> None:
    """Close an order that was paid a wrong amount, and settle the refund that this makes, on the page of the money."""
    page = operator.page
    await operator.open("/money")
    case = page.locator("section.card", has=page.locator(f'a[href="/orders/{order}"]'))
    await case.locator("summary").click()
    await case.get_by_label("What was done").fill("compared with the dashboard")
    await case.get_by_label("Close the order").check()
    await case.get_by_role("button", name="Resolve anomaly").click()
    await expect(page.locator(".notice")).to_contain_text("the refund of its order is still due")

    await operator.open(f"/orders/{order}")
    await expect(page.locator("#waits")).to_contain_text("money is to be given back (amount_mismatch)", timeout=5_000)
    await operator.open("/waiting?step=refund")
    await expect(page.locator(f"#wait-{order}")).to_be_visible(timeout=SOON_S * 1000)

    await operator.open("/money?tab=refunds")
    refund = page.locator("section.card", has=page.locator(f'a[href="/orders/{order}"]'))
    await refund.locator("summary", has_text="Settle").click()
    await refund.get_by_label(re.compile("How the money")).fill("by bank transfer")
    await refund.get_by_role("button", name="Settle refund").click()
    await expect(page.locator(".notice")).to_contain_text("The refund is settled")
    await operator.open(f"/orders/{order}")
