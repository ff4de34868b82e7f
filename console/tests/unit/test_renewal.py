"""A session is renewed with the password of the person whose it is, and the forms of the page go on working."""

import re
from unittest.mock import patch

import httpx2
import pytest

from chassis import clock
from chassis.auth.tokens import encode_token
from console.handler.session import COOKIE, FORM_COOKIE

from .browser import Browser


async def test_the_right_password_gives_a_new_session_and_its_token_for_the_forms(browser: Browser) -> None:
    browser.sign_in()
    before = browser.http.cookies[COOKIE]
    answer = await browser.post("/session", form=await browser.form("/"), password="right")
    assert answer.status_code == 200
    after = browser.platform.token
    assert any(each.startswith(f"{COOKIE}={after};") for each in answer.headers.get_list("set-cookie"))
    assert after != before
    assert 3590 < answer.json()["left_s"] <= 3600
    asked = browser.platform.asked[-1]
    assert (asked.url.path, b"admin@example.com" in asked.content) == ("/v1/login", True)
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


def ages(answer: httpx2.Response) -> dict[str, int]:
    """Return how long each cookie of an answer lasts, in seconds."""
    set_cookies = answer.headers.get_list("set-cookie")
    return {each.partition("=")[0]: int(each.partition("Max-Age=")[2].partition(";")[0]) for each in set_cookies}


async def test_a_second_tab_goes_on_after_a_renewal_in_the_first_one(browser: Browser) -> None:
    browser.sign_in()
    first, second = await browser.form("/"), await browser.form("/orders/42")
    answer = await browser.post("/session", form=first, password="right")
    assert answer.status_code == 200
    assert browser.http.cookies[COOKIE] == browser.platform.token
    assert (await browser.post("/logout", form=second)).headers["location"] == "/login"
    assert browser.platform.asked[-1].url.path == "/v1/logout"


async def test_the_name_of_the_browser_is_renewed_with_the_session_and_ends_after_it(browser: Browser) -> None:
    form = await browser.form()
    named = browser.http.cookies[FORM_COOKIE]
    answers = [await browser.post("/login", form=form, email="a", password="right")]
    answers.append(await browser.post("/session", form=await browser.form("/"), password="right"))
    for answer in answers:
        assert ages(answer) == {COOKIE: 3600, FORM_COOKIE: 12 * 3600}
    assert browser.http.cookies[FORM_COOKIE] == named
    assert not (await browser.get("/")).headers.get_list("set-cookie")


async def test_a_log_in_page_that_was_open_for_hours_works(browser: Browser) -> None:
    assert ages(await browser.get("/login")) == {FORM_COOKIE: 12 * 3600}
    form = await browser.form()
    browser.sign_in()
    assert (await browser.post("/login", form=form, email="a", password="right")).status_code == 303


async def test_the_token_of_the_log_in_form_is_refused_in_a_session(browser: Browser) -> None:
    form = await browser.form()
    browser.sign_in()
    assert (await browser.post("/session", form=form, password="right")).status_code == 403


async def test_a_log_out_after_the_session_has_ended_forgets_it(browser: Browser) -> None:
    browser.sign_in()
    form = await browser.form("/")
    browser.revoke()
    answer = await browser.post("/logout", form=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert COOKIE not in browser.http.cookies
    assert not [asked for asked in browser.platform.asked if asked.method == "POST"]
