"""A session that is about to end is renewed without leaving the page."""

import re

import pytest
from playwright.async_api import expect

from console.handler.session import COOKIE
from fc.demo.shop import Shop
from fc.stack.local import Stack
from tests.console.kit.operator import Desk
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e


async def test_the_password_is_asked_for_in_time_and_the_page_stays(
    desk: Desk, stack: Stack, shop: Shop, back_office: BackOffice
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    invoice = (await payer.invoice(order))["invoice_id"]
    async with desk.operator() as operator:
        page, box = operator.page, operator.page.get_by_role("alertdialog")
        await page.clock.install()
        await operator.open(f"/orders/{order}")
        await expect(box).to_be_hidden()
        before = await page.locator("form.person input[name=form]").input_value()
        await page.clock.fast_forward("55:30")
        await expect(box).to_be_visible()
        await box.get_by_label("Password").fill("not this one")
        await box.get_by_role("button").click()
        await expect(box.get_by_role("alert")).to_have_text("The password is not right")
        await box.get_by_label("Password").fill(stack.accounts()["admin"][1])
        await box.get_by_role("button").click()
        await expect(box).to_be_hidden()
        await expect(page.locator("form.person input[name=form]")).to_have_value(before)
        # The stream of the page goes on in the new session, and so do its forms.
        await shop.pay(invoice)
        await payer.wait_status(order, "completed")
        await operator.until(re.compile("payment.success"))
        cookies = {each["name"]: each["value"] for each in await page.context.cookies()}
        assert cookies[COOKIE] != {each["name"]: each["value"] for each in desk.session["cookies"]}[COOKIE]
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("button", name="Log in")).to_be_visible()
