"""A session that is about to end is renewed without leaving the page, in all tabs of the browser."""

import re

import httpx2
import pytest
from playwright.async_api import Page, expect

from chassis.auth.tokens import encode_token
from console.handler.session import COOKIE
from fc.demo.shop import Shop, poll
from fc.stack.layout import CONSOLE
from fc.stack.local import Stack
from tests.console.kit.heard import Heard
from tests.console.kit.operator import Desk, Operator, signed_in
from tests.kit.back_office import BackOffice
from tests.kit.stacks import secret_of

pytestmark = pytest.mark.e2e

# A log-out is known everywhere within 5 s, and a stream looks every 2 s.
ENDED_S = 15


async def about_to_end(operator: Operator, address: str) -> None:
    """Open a page in this tab, and wait there until its session is about to end."""
    await operator.page.clock.install()
    await operator.open(address)
    await expect(operator.page.get_by_role("alertdialog")).to_be_hidden()
    # Else the clock would jump while the stream is being opened.
    await expect(operator.page.locator("html")).to_have_attribute("data-live", "on", timeout=10_000)
    await operator.page.clock.fast_forward("55:30")
    await expect(operator.page.get_by_role("alertdialog")).to_be_visible()


async def token_of(page: Page) -> str:
    return str({each["name"]: each["value"] for each in await page.context.cookies()}[COOKIE])


async def renewed(page: Page, password: str) -> None:
    """Give a wrong password, and then the right one. The forms of the page stay as they are."""
    box, form = page.get_by_role("alertdialog"), page.locator("form.person input[name=form]")
    before = await form.input_value()
    await box.get_by_label("Password").fill("not this one")
    await box.get_by_role("button").click()
    await expect(box.get_by_role("alert")).to_have_text("The password is not right")
    await box.get_by_label("Password").fill(password)
    await box.get_by_role("button").click()
    await expect(box).to_be_hidden()
    await expect(form).to_have_value(before)


async def test_the_password_is_asked_for_in_time_and_the_pages_of_all_tabs_stay(
    desk: Desk, stack: Stack, shop: Shop, back_office: BackOffice, client: httpx2.AsyncClient
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    invoice = (await payer.invoice(order))["invoice_id"]
    # A session of this test alone: it is revoked.
    own = await signed_in(desk.browser, stack.layout.url(CONSOLE), *stack.accounts()["admin"])
    async with own.operator() as operator:
        page = operator.page
        other = Operator(await page.context.new_page(), operator.url)
        streams: list[str] = []
        for tab in (operator, other):
            tab.page.on("response", lambda answer: streams.append(answer.url) if "/live/" in answer.url else None)
            await about_to_end(tab, f"/orders/{order}")
        heard = [await Heard.listen(tab.page) for tab in (operator, other)]
        old = await token_of(page)
        await renewed(page, stack.accounts()["admin"][1])
        for tab in (operator, other):
            await expect(tab.page.get_by_role("alertdialog")).to_be_hidden()
        assert await token_of(page) != old

        # The streams of both tabs are still of the old session. It ends, and both go on in the new one.
        opened = len(streams)
        bearer = {"Authorization": f"Bearer {old}"}
        assert (await client.post(f"{stack.layout.url('userfc')}/v1/logout", headers=bearer)).status_code == 200

        async def both_again() -> bool:
            return len(streams) >= opened + 2

        await poll(both_again, "both tabs have connected again", ENDED_S)
        await shop.pay(invoice)
        await payer.wait_status(order, "completed")
        for tab in (operator, other):
            await tab.until(re.compile("payment.success"))
        assert [await each.states() - {"on"} for each in heard] == [set(), set()]

        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("button", name="Log in")).to_be_visible()
        await expect(other.page.get_by_text("The session has ended.")).to_be_visible(timeout=ENDED_S * 1000)


async def test_a_page_does_not_go_on_for_another_person_who_has_logged_in_in_this_browser(
    desk: Desk, stack: Stack, client: httpx2.AsyncClient
) -> None:
    own = await signed_in(desk.browser, stack.layout.url(CONSOLE), *stack.accounts()["admin"])
    secret = secret_of(stack, "console", "jwt_secret")
    other = encode_token(secret, user_id=2_000_000_000, email="other@example.com", role="admin")
    async with own.operator() as operator:
        page = operator.page
        await operator.open("/services")
        await expect(page.locator("html")).to_have_attribute("data-live", "on", timeout=10_000)
        old = await token_of(page)
        await page.context.add_cookies([{"name": COOKIE, "value": other, "url": operator.url}])
        bearer = {"Authorization": f"Bearer {old}"}
        assert (await client.post(f"{stack.layout.url('userfc')}/v1/logout", headers=bearer)).status_code == 200
        await expect(page.get_by_text("No longer live.")).to_be_visible(timeout=ENDED_S * 1000)
