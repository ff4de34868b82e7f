"""Log-ins are counted by address before they are forwarded: userfc may count all of them for the console's address."""

from ipaddress import ip_network

import httpx2
import pytest

from console.handler.session import LOG_INS

from .browser import ORIGIN, Browser

ALLOWED = int(LOG_INS.partition("/")[0])
FORM = {"content-type": "application/x-www-form-urlencoded", "origin": ORIGIN}


async def tried(browser: Browser, path: str, address: str = "", times: int = 1) -> httpx2.Response:
    """Send the form of a log-in or a renewal from behind a proxy, and return the last answer."""
    headers = FORM | ({"x-forwarded-for": address} if address else {})
    for _ in range(times):
        answer = await browser.http.post(path, content=b"form=x&email=a&password=b", headers=headers)
    return answer


@pytest.mark.parametrize("path", ["/login", "/session"])
async def test_more_log_ins_of_one_address_than_allowed_are_429_and_reach_nobody(browser: Browser, path: str) -> None:
    form = await browser.form()
    assert (await tried(browser, path, times=ALLOWED)).status_code in (303, 403)
    answer = await tried(browser, path)
    assert answer.status_code == 429
    assert "Too many tries" in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    refused = await browser.post("/login", form=form, email="admin@example.com", password="right")
    assert refused.status_code == 429
    assert not browser.platform.asked
    assert (await browser.get("/login")).status_code == 200


async def test_a_stranger_who_tries_too_often_keeps_no_operator_out(browser: Browser) -> None:
    trusted = {"trusted_proxies": (ip_network("127.0.0.0/8"),)}
    browser.app.state.settings = browser.settings.model_copy(update=trusted)
    form = await browser.form()
    assert (await tried(browser, "/login", "203.0.113.7", ALLOWED + 1)).status_code == 429
    headers = FORM | {"x-forwarded-for": "198.51.100.4"}
    content = f"form={form}&email=admin%40example.com&password=right"
    answer = await browser.http.post("/login", content=content, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_customer_with_many_addresses_of_ipv6_counts_as_one(browser: Browser) -> None:
    trusted = {"trusted_proxies": (ip_network("127.0.0.0/8"),)}
    browser.app.state.settings = browser.settings.model_copy(update=trusted)
    for number in range(ALLOWED):
        assert (await tried(browser, "/login", f"2001:db8:1:{number:x}::1")).status_code == 403
    assert (await tried(browser, "/login", "2001:db8:1:ffff::1")).status_code == 429
    assert (await tried(browser, "/login", "2001:db8:2::1")).status_code == 403


async def test_a_header_of_a_stranger_changes_nothing_where_no_proxy_is_trusted(browser: Browser) -> None:
    for number in range(ALLOWED):
        assert (await tried(browser, "/login", f"203.0.113.{number}")).status_code == 403
    assert (await tried(browser, "/login", "198.51.100.4")).status_code == 429
