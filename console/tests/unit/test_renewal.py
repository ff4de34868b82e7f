"""A session is renewed with the password of the person whose it is, and the forms of the page go on working."""

import re
from unittest.mock import patch

import pytest

from chassis import clock
from chassis.auth.tokens import encode_token
from console.handler.session import COOKIE

from .browser import Browser


async def test_the_right_password_gives_a_new_session_and_its_token_for_the_forms(browser: Browser) -> None:
    browser.sign_in()
    before = browser.http.cookies[COOKIE]
    answer = await browser.post("/session", form=await browser.form("/"), password="right")
    assert answer.status_code == 200
    after = browser.platform.token
    assert f"{COOKIE}={after}" in answer.headers["set-cookie"]
    assert after != before
    assert 3590 < answer.json()["left_s"] <= 3600
    asked = browser.platform.asked[-1]
    assert (asked.url.path, b"admin@example.com" in asked.content) == ("/v1/login", True)
    browser.http.cookies.clear()
    browser.http.cookies.set(COOKIE, after, domain="localhost.local")
    assert answer.json()["form"] == await browser.form("/")
    assert (await browser.post("/logout", form=answer.json()["form"])).status_code == 303


@pytest.mark.parametrize(("password", "statuses", "expected"), [("other", {}, 401), ("right", {"userfc": 429}, 429)])
async def test_a_refusal_is_told_and_leaves_the_session(
    browser: Browser, password: str, statuses: dict[str, int], expected: int
) -> None:
    browser.sign_in()
    form = await browser.form("/")
    browser.platform.statuses = statuses
    answer = await browser.post("/session", form=form, password=password)
    assert (answer.status_code, "set-cookie" in answer.headers) == (expected, False)
    assert answer.json()["error"]


async def test_the_session_of_another_person_is_not_taken(browser: Browser) -> None:
    browser.sign_in()
    form = await browser.form("/")
    browser.platform.token = encode_token(browser.settings.jwt_secret, user_id=8, email="b@example.com", role="admin")
    answer = await browser.post("/session", form=form, password="right")
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


async def test_how_long_a_session_lasts_is_said_by_the_clock_of_its_token(browser: Browser) -> None:
    browser.sign_in()
    with patch.object(clock, "ahead_s", return_value=7 * 86_400):
        browser.sign_in()
        browser.platform.token = browser.token()
        page = await browser.get("/")
        found = re.search(r'data-left="(\d+)"', page.text)
        assert found is not None
        assert 3590 < int(found[1]) <= 3600
        answer = await browser.post("/session", form=await browser.form("/"), password="right")
        assert 3590 < answer.json()["left_s"] <= 3600
