"""The page of the outboxes, and a retry with a reason that each service decides and records for itself."""

import html
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from .browser import Browser

HOSTILE = "<script>alert(1)</script>\"'&"


def row(number: int, state: str = "parked", **fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    defaults = {
        "id": number,
        "event_id": f"00000000-0000-4000-8000-{number:012}",
        "topic": "order.created",
        "key": f"order-{number}",
        "state": state,
        "created_at": (now - timedelta(minutes=3)).isoformat(),
        "attempts": 12,
        "next_attempt_at": (now + timedelta(minutes=2)).isoformat(),
        "parked_at": now.isoformat() if state == "parked" else None,
        "published_at": None,
        "last_error": "KafkaTimeoutError",
    }
    return defaults | fields


@dataclass
class Outboxes:
    """The services' admin API: rows of orderfc, and what was asked to be retried."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    retried: list[tuple[str, str]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    purged: set[int] = field(default_factory=set)
    # The states of which orderfc has more pages.
    more: set[str] = field(default_factory=set)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        service = request.url.host
        if service in self.away:
            raise httpx2.ConnectError("away")
        if found := re.fullmatch(r"/v1/admin/outbox/(\d+)/retry", request.url.path):
            if int(found[1]) in self.purged:
                return httpx2.Response(404, json={"error": "event not found"})
            self.retried.append((f"{service} {found[1]}", json.loads(request.content)["reason"]))
            return httpx2.Response(200, json={})
        state = request.url.params["state"]
        items = [each for each in self.rows if each["state"] == state] if service == "orderfc" else []
        following = 4711 if service == "orderfc" and state in self.more else None
        return httpx2.Response(200, json={"items": items, "next_after_id": following})


@pytest.fixture
async def outboxes(browser: Browser) -> Outboxes:
    browser.sign_in()
    made = Outboxes([row(1), row(2, "pending", attempts=3), row(3, "pending", attempts=0, next_attempt_at=None)])
    await browser.app.state.http.aclose()
    browser.app.state.http = httpx2.AsyncClient(transport=httpx2.MockTransport(made))
    return made


def fields(page: str) -> dict[str, str]:
    form = re.search(r'action="/outbox/retry" method="post".*?</form>', page, re.DOTALL)
    assert form is not None, page
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0])
    return {name: html.unescape(value) for name, value in found}


async def test_what_has_not_left_is_listed_with_its_state_and_error(browser: Browser, outboxes: Outboxes) -> None:
    page = (await browser.get("/outbox")).text
    for text in (
        "1 parked",
        "2 pending",
        "KafkaTimeoutError",
        "backing off",
        'href="/orders/1"',
        "Everything has left",
    ):
        assert text in page
    assert len(re.findall(r'aria-label="Retry event', page)) == 2


async def test_a_retry_needs_a_dry_run_and_a_reason(browser: Browser, outboxes: Outboxes) -> None:
    dry = await browser.get("/outbox/retry?service=orderfc&1=on&3=on&9=on")
    assert "1 event would be due now" in dry.text
    assert "1 of the chosen events is no longer in the outbox" in dry.text
    assert not outboxes.retried
    refused = await browser.post("/outbox/retry", **fields(dry.text), reason=" ")
    assert (refused.status_code, outboxes.retried) == (400, [])
    answer = await browser.post("/outbox/retry", **fields(dry.text), reason="the topic is there again")
    assert answer.status_code == 303
    assert outboxes.retried == [("orderfc 1", "the topic is there again")]
    assert "1 event is due now." in (await browser.get(answer.headers["location"])).text


async def test_all_that_wait_are_retried_and_what_the_service_refuses_is_said(
    browser: Browser, outboxes: Outboxes
) -> None:
    dry = await browser.get("/outbox/retry?service=orderfc")
    assert "2 events would be due now" in dry.text
    outboxes.purged = {2}
    answer = await browser.post("/outbox/retry", **fields(dry.text), reason="why")
    page = (await browser.get(answer.headers["location"])).text
    assert "1 event is due now." in page
    assert "1 was not" in page


@pytest.mark.parametrize("changed", [{"form": "0" * 64}, {"service": "userfc"}, {"rows": "1 x"}, {"rows": "-1"}])
async def test_a_form_that_is_not_of_this_page_changes_nothing(
    browser: Browser, outboxes: Outboxes, changed: dict[str, str]
) -> None:
    dry = await browser.get("/outbox/retry?service=orderfc&1=on")
    answer = await browser.post("/outbox/retry", **fields(dry.text) | {"reason": "why"} | changed)
    assert answer.status_code in (400, 403)
    other = await browser.post("/outbox/retry", "http://evil.example", **fields(dry.text) | {"reason": "why"})
    assert (other.status_code, outboxes.retried) == (403, [])


async def test_a_service_that_is_away_leaves_a_line_and_the_rest(browser: Browser, outboxes: Outboxes) -> None:
    outboxes.away = {"paymentfc"}
    page = await browser.get("/outbox")
    assert (page.status_code, "paymentfc did not answer" in page.text, "1 parked" in page.text) == (200, True, True)
    dry = await browser.get("/outbox/retry?service=paymentfc")
    assert (dry.status_code, "paymentfc did not answer" in dry.text) == (200, True)


async def test_what_came_from_outside_is_text(browser: Browser, outboxes: Outboxes) -> None:
    outboxes.rows = [row(1, key=HOSTILE, last_error=HOSTILE, topic=HOSTILE)]
    for path in ("/outbox", "/outbox/retry?service=orderfc&1=on"):
        page = (await browser.get(path)).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


async def test_a_list_that_goes_on_counts_at_least_what_was_read(
    browser: Browser, outboxes: Outboxes, said: list[str]
) -> None:
    await browser.get("/outbox")
    outboxes.more = {"parked", "pending"}
    page = (await browser.get("/outbox")).text
    for text in ("1+ parked", "2+ pending", "there may be more parked and pending ones"):
        assert text in page
    outboxes.away = {"paymentfc"}
    await browser.get("/outbox")
    assert said == [
        "2 events are pending, 1 are parked",
        "at least 2 events are pending, 1 are parked",
        "paymentfc did not answer; at least 2 events are pending, 1 are parked",
    ]


async def test_an_empty_page_that_goes_on_is_not_an_empty_outbox(browser: Browser, outboxes: Outboxes) -> None:
    outboxes.rows, outboxes.more = [], {"parked", "pending"}
    page = (await browser.get("/outbox")).text
    card = re.search(r'<section[^>]*id="outbox-orderfc".*?</section>', page, re.DOTALL)
    assert card is not None
    assert 'badge off">unknown parked' in card[0]
    assert 'badge off">unknown pending' in card[0]
    assert "Everything has left" not in card[0]
    dry = (await browser.get("/outbox/retry?service=orderfc")).text
    assert 'class="empty"' not in dry
    assert "there may be more" in dry


async def test_a_chosen_event_that_was_not_read_is_not_said_to_have_left(browser: Browser, outboxes: Outboxes) -> None:
    outboxes.more = {"pending"}
    dry = (await browser.get("/outbox/retry?service=orderfc&9=on")).text
    assert "1 of the chosen events is not among those that were read" in dry
    outboxes.away = {"orderfc"}
    assert "they have left" not in (await browser.get("/outbox/retry?service=orderfc&9=on")).text
