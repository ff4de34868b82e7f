"""The lab on a running stack: what its forms say they have done, the platform has done."""

import re

import pytest
from playwright.async_api import expect

from fc.demo.shop import Customer, Shop, poll
from tests.console.kit.operator import Desk, Operator
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e


@pytest.fixture
async def admin(shop: Shop) -> Customer:
    return await shop.login("admin")


async def orders_of(operator: Operator) -> list[int]:
    """Return the orders of what was done last."""
    links = operator.page.locator("#done [role=status] a[href^='/orders/']")
    return [int(await link.inner_text()) for link in await links.all()]


async def submit(operator: Operator, title: str, **fields: str) -> None:
    form = operator.page.locator("form", has=operator.page.get_by_role("heading", name=title))
    for name, value in fields.items():
        field = form.locator(f"[name={name}]")
        if await field.evaluate("each => each.tagName") == "SELECT":
            await field.select_option(value)
        else:
            await field.fill(value)
    async with operator.page.expect_navigation(url=re.compile("/lab"), timeout=40_000):
        await form.get_by_role("button").click()


@pytest.mark.parametrize(("end", "status"), [("pay", "completed"), ("expire", "cancelled"), ("late", "failed")])
async def test_orders_are_placed_and_end_as_chosen_also_without_javascript(
    desk: Desk, admin: Customer, back_office: BackOffice, end: str, status: str
) -> None:
    product = await back_office.product(20)
    async with desk.operator(java_script_enabled=False) as operator:
        await operator.open("/lab")
        await submit(operator, "Place orders", product=str(product["id"]), count="2", end=end)
        await expect(operator.page.locator("#done [role=status]")).to_contain_text("Placed 2 of 2 orders")
        placed = await orders_of(operator)
    assert len(placed) == 2
    for order in placed:
        await admin.wait_status(order, status)


async def test_of_a_race_one_order_is_left(operator: Operator, admin: Customer, back_office: BackOffice) -> None:
    product = await back_office.product(3)
    await operator.open("/lab")
    await submit(operator, "Race for the last unit", product=str(product["id"]), buyers="4")
    await expect(operator.page.locator("#done [role=status]")).to_contain_text("4 checkouts raced for one unit")
    raced = await orders_of(operator)
    assert raced

    async def one_left() -> bool:
        statuses = [(await admin.order(order))["status"] for order in raced]
        return sorted(statuses) == ["cancelled"] * (len(raced) - 1) + ["created"]

    await poll(one_left, "one order has the unit", 20)


async def test_the_switches_of_the_simulator_are_set_and_taken_back(operator: Operator, shop: Shop) -> None:
    await operator.open("/lab")
    try:
        await submit(operator, "Faults of Xendit", preset="lost")
        await expect(operator.page.locator("textarea[name=switches]")).to_have_value(
            re.compile('"drop_webhooks": true')
        )
    finally:
        await operator.open("/lab")
        await submit(operator, "Faults of Xendit", preset="none")
    await expect(operator.page.locator("textarea[name=switches]")).to_have_value(re.compile('"drop_webhooks": false'))
