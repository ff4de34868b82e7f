"""The Chromium of this machine."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def path(installed: str = "/usr/bin/chromium") -> str:
    """Return the path of a Chromium; without one the test fails and names the command that installs it."""
    found = shutil.which("chromium") or installed
    if not Path(found).exists():
        pytest.fail("This test needs a browser and there is no Chromium here: `make tools` installs it.", pytrace=False)
    return found


@asynccontextmanager
async def launched(*arguments: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path(), args=[*ARGUMENTS, *arguments])
        yield browser
        await browser.close()
