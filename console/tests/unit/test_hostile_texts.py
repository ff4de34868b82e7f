"""Text that came from outside is text on every page: each free field of every answer has markup in it."""

import json
from typing import Any

import httpx2
import pytest

from .browser import Browser
from .test_access import CLOSED, filled

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
# Codes and times are made by the services; all other text may be anybody's.
FREE = {
    *("email", "user_email", "name", "note", "error", "last_error", "detail", "reason", "title", "shipping_address"),
    *("invoice_id", "invoice_url", "currency", "currency_code", "body", "value", "version", "cause"),
}
PAGES = [path for method, path in CLOSED if method == "GET" and not path.startswith("/live")]


def spoiled(value: Any, name: str = "") -> Any:
    """Return an answer with markup in each of its free fields."""
    if isinstance(value, dict):
        return {key: spoiled(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [spoiled(inner, name) for inner in value]
    return HOSTILE if name in FREE and isinstance(value, str) else value


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_takes_text_for_markup(browser: Browser, path: str) -> None:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        given = await browser.platform(request)
        try:
            found = given.json()
        except ValueError:
            return given
        return httpx2.Response(given.status_code, content=json.dumps(spoiled(found)), headers={"x-hostile": "1"})

    browser.sign_in()
    state = browser.app.state
    before, state.http = state.http, httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    try:
        async with state.http:
            shown = await browser.get(filled(path))
    finally:
        state.http = before
    assert shown.status_code < 500
    if shown.headers["content-type"].startswith("text/html"):
        assert "<script>alert" not in shown.text
        assert "<img src=x" not in shown.text
    if path == "/orders/{order_id}":
        assert "&lt;script&gt;alert" in shown.text
