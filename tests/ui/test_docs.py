"""The documentation pages of the running services in a real browser: complete, self-contained and usable."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from fc.demo.shop import Shop
from fc.stack.layout import SERVICES
from fc.stack.local import Stack

pytestmark = pytest.mark.e2e


class Docs:
    """A page of a service's documentation, with its errors and the addresses that it has called."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.troubles: list[str] = []
        self.called: set[str] = set()
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", lambda said: self.troubles.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: self.called.add(urlsplit(request.url).netloc))

    async def open(self) -> None:
        """Open the page and wait until the document has been read."""
        await self.page.goto(f"{self.url}/docs")
        await expect(self.page.locator(".info .title")).to_be_visible()

    async def authorize(self, token: str) -> None:
        """Log in with the dialog behind the Authorize button."""
        await self.page.get_by_role("button", name="Authorize").click()
        dialog = self.page.locator(".dialog-ux .modal-ux")
        await dialog.locator(".auth-container", has_text="bearer").get_by_role("textbox").fill(token)
        await dialog.get_by_role("button", name="Apply credentials").click()
        await expect(dialog.get_by_role("button", name="Remove authorization")).to_be_visible()
        await dialog.get_by_role("button", name="Close").last.click()
        await expect(dialog).to_have_count(0)

    async def execute(self, path: str, status: int) -> str:
        """Execute a GET, wait until the page shows this status, and return the body that it shows."""
        block = self.page.locator(".opblock-get").filter(
            has=self.page.locator(f'.opblock-summary-path[data-path="{path}"]')
        )
        if await block.get_by_role("button", name="Execute").count() == 0:
            await block.locator(".opblock-summary-control").click()
            await block.get_by_role("button", name="Try it out").click()
        await block.get_by_role("button", name="Execute").click()
        answer = block.locator(".live-responses-table tbody tr.response").first
        await expect(answer.locator(".response-col_status")).to_contain_text(str(status))
        return await answer.locator(".response-col_description pre").first.inner_text()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A browser context without cookies or storage."""
    opened = await browser.new_page(viewport={"width": 1200, "height": 1000})
    yield opened
    await opened.close()


async def test_a_token_from_the_dialog_opens_a_route_that_was_closed(stack: Stack, page: Page) -> None:
    docs = Docs(page, stack.layout.url("orderfc"))
    await docs.open()
    assert '"unauthenticated"' in await docs.execute("/v1/orders/history", 401)
    async with Shop.opened(stack.urls(), stack.accounts()) as shop:
        admin = await shop.login("admin")
    await docs.authorize(admin.headers["Authorization"].removeprefix("Bearer "))
    assert (await docs.execute("/v1/orders/history", 200)).startswith("[")
    # The browser itself logs the refusal; there must be no other error.
    assert [text for text in docs.troubles if "401" not in text] == []
    assert docs.called == {urlsplit(docs.url).netloc}


@pytest.mark.parametrize("service", SERVICES)
async def test_the_page_shows_every_route_and_needs_nobody_else(
    stack: Stack, page: Page, client: httpx2.AsyncClient, service: str
) -> None:
    docs = Docs(page, stack.layout.url(service))
    await docs.open()
    document = (await client.get(f"{docs.url}/openapi.json")).json()
    wanted = sorted(
        f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations
    )
    await expect(page.locator(".opblock")).to_have_count(len(wanted))
    shown = await page.locator(".opblock-summary").all()
    names = [
        await line.locator(".opblock-summary-method").inner_text()
        + " "
        + str(await line.locator(".opblock-summary-path").get_attribute("data-path"))
        for line in shown
    ]
    assert sorted(names) == wanted
    locked = await page.locator(".opblock .authorization__btn").count()
    assert locked == sum("security" in operation for path in document["paths"].values() for operation in path.values())
    assert docs.troubles == []
    assert docs.called == {urlsplit(docs.url).netloc}
