"""A console in front of services and Kafka that are made up."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from chassis.auth.tokens import TokenVerifier
from chassis.config.settings import load
from console.app import SERVICE
from console.client.letter_box import LetterBox
from console.client.letter_store import Bounds
from console.config import Settings
from console.handler import rendering
from console.usecase.letter_runs import LetterRuns
from testkit import free_port
from testkit.asgi import serving

from .browser import ORIGIN, Browser, Platform
from .kafka import MemoryKafka


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    urls = {f"{name}_host": f"http://{name}fc" for name in ("user", "product", "order", "payment")}
    settings = load(Settings, environment="development", redis_port=free_port(), **urls)
    process = await SERVICE.open(settings, workers=True)
    platform, state = Platform(), process.app.state
    for real in (state.http, state.log_in_http):
        await real.aclose()
    state.http, state.order_records = httpx2.AsyncClient(transport=httpx2.MockTransport(platform)), platform
    state.log_in_http = state.http
    state.verifier = TokenVerifier(settings.jwt_secret)
    transport = httpx2.ASGITransport(app=process.app)
    async with state.http, httpx2.AsyncClient(transport=transport, base_url=ORIGIN, timeout=15) as http:
        opened = Browser(http, platform, settings, process.app)
        platform.token = opened.token()
        yield opened
    for close in process.close:
        await close()


@pytest.fixture
async def address(browser: Browser) -> AsyncIterator[str]:
    """The console over real HTTP, with a signed-in administrator."""
    browser.sign_in()
    async with serving(browser.app) as url:
        yield url


@pytest.fixture
def kafka(browser: Browser) -> MemoryKafka:
    """Dead letters of a Kafka that is in memory, as a signed-in administrator sees them."""
    browser.sign_in()
    kept = MemoryKafka()
    browser.app.state.letters = LetterBox(kept, Bounds())
    browser.app.state.runs = LetterRuns(browser.app.state.letters)
    return kept


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the sentences that the pages say to those who can't see them."""
    sentences, page = [], rendering.page

    def keep(name: str, status: int = 200, **values: Any) -> Any:
        sentences.append(str(values.get("says", "")))
        return page(name, status, **values)

    monkeypatch.setattr(rendering, "page", keep)
    return sentences
