"""An administrator at the console, in a real browser."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from playwright.async_api import Browser, Page, Response, expect

# What a page shows of a change, it shows within this time.
SOON_S = 5.0


@dataclass(frozen=True)
class Operator:
    """A page of a browser in which an administrator is signed in."""

    page: Page
    url: str

    async def open(self, path: str, status: int = 200) -> Response:
        """Load a page of the console. Raises AssertionError when it has another status."""
        answer = await self.page.goto(self.url + path, wait_until="domcontentloaded")
        if answer is None or answer.status != status:
            raise AssertionError(f"{path} answers {answer and answer.status}, and not {status}")
        return answer

    async def until(self, text: str | re.Pattern[str], within_s: float = SOON_S) -> None:
        """Wait until the page shows a text; it is not loaded again."""
        await expect(self.page.locator("main")).to_contain_text(text, timeout=within_s * 1000)

    async def until_gone(self, text: str | re.Pattern[str], within_s: float = SOON_S) -> None:
        """Wait until the page shows a text no more; it is not loaded again."""
        await expect(self.page.locator("main")).not_to_contain_text(text, timeout=within_s * 1000)


@dataclass(frozen=True)
class Desk:
    """The console, a browser, and the session of the administrator."""

    browser: Browser
    url: str
    session: Any

    @asynccontextmanager
    async def operator(self, **options: Any) -> AsyncIterator[Operator]:
        """Open a page in a context of its own; the options are Playwright's, as `viewport` or `java_script_enabled`."""
        values = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", "timezone_id": "UTC", **options}
        context = await self.browser.new_context(storage_state=self.session, **values)
        context.set_default_timeout(10_000)
        try:
            yield Operator(await context.new_page(), self.url)
        finally:
            await context.close()

    @asynccontextmanager
    async def plain(self, url: str | None = None) -> AsyncIterator[httpx2.AsyncClient]:
        """Open a client without a browser, with the same session; of another replica, where `url` is given."""
        cookies = {cookie["name"]: cookie["value"] for cookie in self.session["cookies"]}
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(
            base_url=url or self.url, cookies=cookies, timeout=10, limits=limits, trust_env=False
        ) as client:
            yield client


async def signed_in(browser: Browser, url: str, email: str, password: str) -> Desk:
    """Log in as a person does, and keep the session for further pages."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{url}/login")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("button", name="Log out")).to_be_visible(timeout=10_000)
    session = await context.storage_state()
    await context.close()
    return Desk(browser, url, session)
