"""Refusals and failures are pages of the console, with the status that a service would answer."""

from unittest.mock import patch

import httpx2
import pytest

from chassis.errors import Unavailable
from console.handler import rendering

from .browser import ORIGIN, Browser

FORM = {"content-type": "application/x-www-form-urlencoded", "origin": ORIGIN}


def page(answer: httpx2.Response, status: int) -> str:
    """Check that an answer is a page that runs no code and is kept nowhere; return its text."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["x-request-id"] in answer.text
    return answer.text


async def test_what_is_not_there_or_is_asked_wrongly_is_said_on_a_page(browser: Browser) -> None:
    browser.sign_in()
    page(await browser.get("/nothing"), 404)
    page(await browser.get("/static/nothing.css"), 404)
    page(await browser.get("/orders/none"), 400)
    page(await browser.get("/?order=1&order=2"), 400)
    page(await browser.get("/?order=%00"), 400)
    answer = await browser.http.delete("/login")
    page(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, POST"


async def test_a_body_that_no_form_sends_is_refused_on_a_page(browser: Browser) -> None:
    page(await browser.http.post("/login", json={"email": "a", "password": "right"}), 415)
    page(await browser.http.post("/login", content=b"a=" + b"b" * 9000, headers=FORM), 413)
    page(await browser.http.post("/login", content=b"a=" + b"b" * 2_000_000, headers=FORM), 413)
    assert not browser.platform.asked


async def test_a_form_that_no_page_of_the_console_sends_is_refused_on_a_page(browser: Browser) -> None:
    form = await browser.form()
    page(await browser.http.post("/login", content=b"&" * 21, headers=FORM), 403)
    for origin in ("http://[", "http://[::1", "//"):
        page(await browser.post("/login", origin, form=form, email="a", password="right"), 403)
    assert not browser.platform.asked


async def test_a_referer_that_is_no_address_leads_to_the_first_page(browser: Browser) -> None:
    answer = await browser.http.post("/session", content=b"form=x", headers=FORM | {"referer": "http://["})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")


async def test_a_person_without_the_role_sees_403_and_no_data(browser: Browser) -> None:
    browser.sign_in("user")
    for path in ("/", "/orders/42"):
        text = page(await browser.get(path), 403)
        assert "This needs the role admin" in text
        assert "90000" not in text
    assert not browser.platform.asked


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (RuntimeError("secret place"), 500),
        (ConnectionResetError("secret place"), 503),
        (Unavailable("Not now", retry_after=7), 503),
    ],
)
async def test_a_failure_is_a_page_that_shows_nothing_of_it(browser: Browser, failure: Exception, status: int) -> None:
    browser.sign_in()
    with patch("console.handler.order.gather_case", side_effect=failure):
        answer = await browser.get("/orders/42")
    assert "secret place" not in page(answer, status)
    assert answer.headers.get("retry-after") == {500: None}.get(status, str(getattr(failure, "retry_after", 2)))


def test_a_refusal_has_no_place_for_code() -> None:
    shown = rendering.page("refusal.html", 400, title="<b>", text="<script>", request_id="<i>", person=None)
    assert b"<script" not in shown.body
    assert b"&lt;script&gt;" in shown.body
