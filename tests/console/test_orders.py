"""The list of orders on a running stack: the filters that need more than orderfc, in a browser without JavaScript."""

import csv
import io
from typing import Any

import pytest
from playwright.async_api import Page, expect

from fc.demo.shop import Shop, poll
from tests.console.kit.operator import SOON_S, Desk
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e

NONE_WAITS = "No order that fits the other filters waits for this step"


async def show(page: Page, product: str, waits_for: str) -> list[int]:
    """Fill in the form and return the orders of the page that follows."""
    await page.get_by_label("Product").fill(product)
    await page.get_by_label("Waits for").select_option(label=waits_for)
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_label("Waits for").locator("option[selected]")).to_have_text(waits_for)
    return [int(text) for text in await page.locator("main td a.id").all_inner_texts()]


async def test_orders_are_found_by_their_product_and_by_what_they_wait_for(
    desk: Desk, shop: Shop, back_office: BackOffice
) -> None:
    payer = await shop.newcomer()
    product: dict[str, Any] = await back_office.product(5)
    done, open_one = await payer.checkout(product, 1), await payer.checkout(product, 1)
    await shop.pay((await payer.invoice(done))["invoice_id"])
    await payer.wait_status(done, "completed")
    await payer.invoice(open_one)
    name, product_id = product["name"].upper(), str(product["id"])
    async with desk.operator(java_script_enabled=False) as operator, desk.plain() as client:
        page = operator.page
        await operator.open("/orders")

        async def waits() -> bool:
            return await show(page, name, "Customer") == [open_one]

        await poll(waits, "the unpaid order of the product waits for its customer", SOON_S)
        await expect(page.locator("main")).to_contain_text("the customer has not paid")
        assert await show(page, name, "Any or none") == [open_one, done]
        await expect(page.locator("main")).to_contain_text(f"Orders of {product['name']} ({product_id}).")
        assert await show(page, product_id, "Stock") == []
        await expect(page.locator("main")).to_contain_text(NONE_WAITS)
        file = (await client.get("/orders.csv", params={"product": product_id, "step": "customer"})).text
        [row] = csv.DictReader(io.StringIO(file))
        assert (int(row["order_id"]), row["waits_for"]) == (open_one, "customer")

        await shop.pay((await payer.invoice(open_one))["invoice_id"])
        await payer.wait_status(open_one, "completed")
        assert await show(page, name, "Customer") == []
        await expect(page.locator("main")).to_contain_text(NONE_WAITS)
