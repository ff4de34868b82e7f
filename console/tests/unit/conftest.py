"""A console in front of services and Kafka that are made up."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from chassis.auth.tokens import TokenVerifier
from chassis.config.settings import load
from console.app import SERVICE
from console.config import Settings
from testkit import free_port

from .browser import ORIGIN, Browser, Platform


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    urls = {f"{name}_host": f"http://{name}fc" for name in ("user", "product", "order", "payment")}
    settings = load(Settings, environment="development", redis_port=free_port(), **urls)
    process = await SERVICE.open(settings, workers=True)
    platform, state = Platform(), process.app.state
    await state.http.aclose()
    state.http, state.log = httpx2.AsyncClient(transport=httpx2.MockTransport(platform)), platform
    state.verifier = TokenVerifier(settings.jwt_secret)
    transport = httpx2.ASGITransport(app=process.app)
    async with state.http, httpx2.AsyncClient(transport=transport, base_url=ORIGIN, timeout=15) as http:
        opened = Browser(http, platform, settings, process.app)
        platform.token = opened.token()
        yield opened
    for close in process.close:
        await close()
