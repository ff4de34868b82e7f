"""The pages: who may see them, what a form must carry, and that a source that is away empties none of them."""

import re

import pytest

from console.handler.session import COOKIE

from .browser import ORIGIN, Browser
from .samples import completed

HOSTILE = "<script>alert(1)</script>\"'&"


async def test_without_a_session_each_page_leads_to_the_log_in_and_back(browser: Browser) -> None:
    answer = await browser.get("/orders/42")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/orders/42")
    form = await browser.form("/login?next=/orders/42")
    fields = {"form": form, "email": "admin@example.com", "password": "right", "next": "/orders/42"}
    signed_in = await browser.post("/login", **fields)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/orders/42")
    cookie = signed_in.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert (await browser.get("/orders/42")).status_code == 200


async def test_the_log_in_leads_back_to_the_question_that_a_page_was_asked(browser: Browser) -> None:
    assert (await browser.get("/?order=x")).headers["location"] == "/login?next=/%3Forder%3Dx"
    headers = {"origin": ORIGIN, "referer": f"{ORIGIN}/?order=x", "content-type": "application/x-www-form-urlencoded"}
    answer = await browser.http.post("/session", content=b"form=x", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/%3Forder%3Dx")


async def test_a_wrong_password_is_said_and_gives_no_session(browser: Browser) -> None:
    form = await browser.form()
    answer = await browser.post("/login", form=form, email="a@example.com", password="other")
    assert (answer.status_code, COOKIE in answer.headers.get("set-cookie", "")) == (401, False)
    assert 'role="alert">wrong' in answer.text


async def test_a_log_in_that_userfc_limits_is_limited_here_too(browser: Browser) -> None:
    form = await browser.form()
    browser.platform.statuses, browser.platform.headers = {"userfc": 429}, {"retry-after": "17"}
    answer = await browser.post("/login", form=form, email="a", password="right")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "17")
    assert "text/html" in answer.headers["content-type"]
    assert COOKIE not in answer.headers.get("set-cookie", "")
    [asked] = browser.platform.asked
    assert asked.headers["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize("status", [200, 502])
async def test_an_answer_that_is_not_userfcs_is_no_log_in(browser: Browser, status: int) -> None:
    form = await browser.form()
    browser.platform.statuses = {"userfc": status}
    answer = await browser.post("/login", form=form, email="a", password="right")
    assert answer.status_code == (503 if status == 200 else 502)
    browser.platform.away = {"userfc"}
    assert (await browser.post("/login", form=form, email="a", password="right")).status_code == 503


@pytest.mark.parametrize(("environment", "is_secure"), [("development", False), ("production", True)])
async def test_in_production_the_session_is_never_sent_without_tls(
    browser: Browser, environment: str, is_secure: bool
) -> None:
    form = await browser.form()
    browser.app.state.settings = browser.settings.model_copy(update={"environment": environment})
    answer = await browser.post("/login", form=form, email="a", password="right")
    assert ("; Secure" in answer.headers["set-cookie"]) is is_secure


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_the_log_in_leads_to_no_other_site(browser: Browser, target: str) -> None:
    form = await browser.form()
    answer = await browser.post("/login", form=form, email="a", password="right", next=target)
    assert answer.headers["location"] == "/"


async def test_a_form_of_another_site_or_session_changes_nothing(browser: Browser) -> None:
    form = await browser.form()
    for origin, token in [
        ("http://evil.example", form),
        (None, form),
        ("null", form),
        (ORIGIN, ""),
        (ORIGIN, "0" * 64),
    ]:
        answer = await browser.post("/login", origin, form=token, email="a", password="right")
        assert answer.status_code == 403, (origin, token)
    browser.sign_in()
    assert (await browser.post("/logout", form=form)).status_code == 403
    assert not browser.platform.asked


async def test_the_log_out_is_told_to_userfc_and_forgets_the_session(browser: Browser) -> None:
    browser.sign_in()
    answer = await browser.post("/logout", form=await browser.form("/"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert browser.platform.asked[-1].url.path == "/v1/logout"
    assert 'console_session=""' in answer.headers["set-cookie"]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_log_out_that_userfc_does_not_do_is_said_and_can_be_tried_again(browser: Browser, status: int) -> None:
    browser.sign_in()
    form = await browser.form("/")
    browser.platform.statuses = {"userfc": status}
    answer = await browser.post("/logout", form=form)
    assert (answer.status_code, "Not logged out" in answer.text) == (503, True)
    assert COOKIE not in answer.headers.get("set-cookie", "")
    browser.platform.statuses = {}
    assert (await browser.post("/logout", form=form)).headers["location"] == "/login"


async def test_a_log_out_of_a_token_that_userfc_no_longer_accepts_is_one(browser: Browser) -> None:
    browser.sign_in()
    form = await browser.form("/")
    browser.platform.statuses = {"userfc": 401}
    assert (await browser.post("/logout", form=form)).headers["location"] == "/login"


async def test_the_page_of_an_order_shows_its_timeline_and_asks_with_the_persons_own_token(browser: Browser) -> None:
    browser.sign_in()
    answer = await browser.get("/orders/42")
    assert answer.status_code == 200
    for text in ("Order 42", "payment.success", "stock taken", "admin@example.com"):
        assert text in answer.text
    assert "not applied" not in answer.text
    assert "did not answer" not in answer.text
    given = {request.headers["authorization"] for request in browser.platform.asked}
    assert given == {f"Bearer {browser.http.cookies[COOKIE]}"}


async def test_every_page_forbids_code_and_frames_and_is_kept_nowhere(browser: Browser) -> None:
    browser.sign_in()
    for path in ("/login", "/", "/orders/42", "/orders/43"):
        answer = await browser.get(path)
        policy = answer.headers["content-security-policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
            assert rule in policy, path
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r'<script(?! src="/static/)|<style|style=|\son\w+=', answer.text), path
    style = await browser.get("/static/console.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    for path in ("/static/..%2fapp.py", "/static/base.html", "/static/x.css"):
        assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize("source", ["orderfc", "productfc", "paymentfc", "kafka"])
async def test_a_source_that_is_away_leaves_a_line_and_the_rest_of_the_page(browser: Browser, source: str) -> None:
    browser.sign_in()
    browser.platform.away = {source}
    answer = await browser.get("/orders/42")
    assert answer.status_code == 200
    assert f"{source} did not answer" in answer.text
    assert "order.created" in answer.text


async def test_with_every_source_away_the_page_still_says_so(browser: Browser) -> None:
    browser.sign_in()
    browser.platform.away = {"orderfc", "productfc", "paymentfc", "kafka"}
    answer = await browser.get("/orders/42")
    assert answer.status_code == 200
    assert answer.text.count('class="problem">') == 5
    assert "The audit log did not answer" in answer.text


@pytest.mark.parametrize(("status", "expected"), [(401, 303), (403, 403), (500, 200)])
async def test_what_a_service_refuses_is_not_shown(browser: Browser, status: int, expected: int) -> None:
    browser.sign_in()
    browser.platform.statuses = dict.fromkeys(("orderfc", "paymentfc", "productfc"), status)
    answer = await browser.get("/orders/42")
    assert answer.status_code == expected
    assert "90000" not in answer.text


async def test_what_came_from_outside_is_text(browser: Browser) -> None:
    browser.sign_in()
    facts = completed()
    order, paid = dict(facts.order or {}), dict(facts.dossier or {})
    order["currency"] = HOSTILE
    paid["payment"] = {**paid["payment"], "user_email": HOSTILE, "invoice_id": HOSTILE}
    browser.platform.facts = type(facts)(42, facts.now, order, paid, facts.stock, records=facts.records)
    answer = await browser.get("/orders/42")
    assert "<script>" not in answer.text
    assert answer.text.count("&lt;script&gt;") >= 3


async def test_an_unknown_order_is_404(browser: Browser) -> None:
    browser.sign_in()
    browser.platform.statuses = dict.fromkeys(("orderfc", "paymentfc"), 404)
    assert (await browser.get("/orders/43")).status_code == 404
