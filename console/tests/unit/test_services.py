"""The pages of the services, and the charts."""

import re
import time

from console.model.ring import EVERY_S
from console.model.topology import SERVICES

from .browser import Browser
from .looks import looked, served

HOSTILE = "<script>alert(1)</script>\"'&"
PROCESS = {
    "service": "orderfc",
    "version": "1.2.3",
    "revision": "0007",
    "instance": "orderfc-1:17",
    "started_at": "2026-11-28T08:00:00Z",
    "settings": {"log_level": "INFO", "trusted_proxies": ["10.0.0.0/8"], "expose_docs": True, "grpc_port": None},
    "relay": {"active_since": "2026-11-28T08:00:02Z", "in_flight": 1, "broker_away": True, "failed_sessions": 0},
    "assignments": [
        {
            "topic": "payment.success",
            "partition": 3,
            "position": 118,
            "committed": 118,
            "end": 121,
            "outage": None,
            "waiting": 1,
            "retrying": [
                {
                    "key": "order-42",
                    "offset": 118,
                    "tries": 2,
                    "next_try_at": "2026-11-28T08:30:04Z",
                    "error": f"NotYet: {HOSTILE}",
                }
            ],
        },
        {
            "topic": "payment.failed",
            "partition": 0,
            "position": None,
            "committed": None,
            "end": None,
            "outage": None,
            "waiting": 0,
            "retrying": [],
        },
    ],
    "loops": [{"name": "housekeeping", "last_run_at": "2026-11-28T08:20:00Z", "outcome": "outage"}],
}


async def test_the_page_of_a_service_shows_what_its_process_does(browser: Browser) -> None:
    browser.sign_in()
    behind = served(browser, {"orderfc/v1/admin/process": PROCESS})
    before = time.time()
    await browser.app.state.watch.look(before - EVERY_S)
    for _ in range(3):
        behind.shown["orderfc"].request("/v1/orders/checkout", 201)
    behind.shown["orderfc"].request("/v1/orders/checkout", 503)
    behind.shown["orderfc"].request("/metrics")
    await browser.app.state.watch.look(before)
    answer = await browser.get("/services/orderfc")
    assert answer.status_code == 200
    for text in (
        "orderfc-1:17",
        "0007",
        "order-42",
        "2 tries",
        "Kafka is away",
        "housekeeping",
        "LOG_LEVEL",
        "10.0.0.0/8",
    ):
        assert text in answer.text, text
    assert "<script>alert" not in answer.text
    row = re.search(r"/v1/orders/checkout</span></td>(.*?)</tr>", answer.text)
    assert row is not None
    assert re.findall(r">([^<]+)</", row[1])[:3] == ["4", "0", "1"]


async def test_all_services_are_listed_and_one_that_is_away_is_named(browser: Browser) -> None:
    browser.sign_in()
    behind = served(browser, {f"{name}/v1/admin/process": PROCESS | {"service": name} for name in SERVICES})
    await looked(browser, behind)
    browser.platform.away = {"userfc"}
    answer = await browser.get("/services")
    assert answer.status_code == 200
    assert answer.text.count("0007") == 3
    assert "userfc did not answer (ConnectError)" in answer.text


async def test_who_can_not_see_it_is_told_that_a_process_did_not_answer(browser: Browser, said: list[str]) -> None:
    browser.sign_in()
    behind = served(browser, {"orderfc/v1/admin/process": PROCESS})
    await looked(browser, behind)
    await browser.get("/services/orderfc")
    browser.platform.away = {"orderfc"}
    await browser.get("/services/orderfc")
    assert said == ["ready", "ready; its process did not answer"]


async def test_a_service_that_is_not_ours_is_404(browser: Browser) -> None:
    browser.sign_in()
    assert (await browser.get("/services/console")).status_code == 404


async def test_the_charts_are_drawn_without_scripts(browser: Browser) -> None:
    browser.sign_in()
    behind = served(browser, {})
    await looked(browser, behind)
    answer = await browser.get("/metrics-explorer")
    assert answer.status_code == 200
    assert answer.text.count('<figure class="plot"') == 12
    assert "style=" not in answer.text
