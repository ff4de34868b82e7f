"""The console of the shared stack, and a real Chromium in which an administrator is signed in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fc.demo.shop import Shop
from fc.stack.layout import CONSOLE
from fc.stack.local import Stack
from tests.console.kit.operator import Desk, Operator, signed_in
from tests.kit import chromium
from tests.ops.conftest import fc, sources

__all__ = ["fc", "sources"]

VENDOR = Path(__file__).resolve().parents[2] / "console" / "console" / "static" / "vendor"


@pytest.fixture(scope="session")
async def desk(stack: Stack, shop: Shop) -> AsyncIterator[Desk]:
    """The console, with a session; `desk.operator(...)` opens a page."""
    if not (VENDOR / "htmx.min.js").exists():
        pytest.fail(f"The scripts of the console are not in {VENDOR}: install Node and run console/assets.sh")
    email, password = stack.accounts()["admin"]
    async with chromium.launched() as browser:
        yield await signed_in(browser, stack.layout.url(CONSOLE), email, password)


@pytest.fixture
async def operator(desk: Desk, shop: Shop) -> AsyncIterator[Operator]:
    """A page of the console on a seeded stack, in which an administrator is signed in."""
    async with desk.operator() as opened:
        yield opened
