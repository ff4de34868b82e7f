"""The browser of topics and consumer groups: what is asked, what is shown, and that it is text whatever it is."""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.client.admin_api import NoAnswer
from console.model.groups import Group, Part, Topic
from console.model.records import Event, Reading, positions_of

from .browser import Browser

HOSTILE = "<script>alert(1)</script>\"'&"
AT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CREATED = {
    "order_id": 42,
    "user_id": 7,
    "total_amount": 90000,
    "payment_method": "BANK_TRANSFER",
    "shipping_address": "Jalan Merdeka 1",
    "currency": "IDR",
}


def event(topic: str = "order.created", offset: int = 7, value: object = CREATED, **fields: Any) -> Event:
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    headers = (("ce_id", b"e-1"), ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()))
    values = {"raw_key": b"order-42", "raw_headers": headers, "published_at": AT, **fields}
    return Event(topic, 3, offset, value=raw, **values)


@dataclass
class Kafka:
    """Topics and groups that are made up; `asked` has the calls."""

    events: list[Event] = field(default_factory=lambda: [event()])
    more: bool = False
    is_away: bool = False
    members: tuple[str, ...] = ("orderfc 127.0.0.1",)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def _answer(self, *call: Any) -> Reading:
        self.asked.append(call)
        if self.is_away:
            raise NoAnswer("KafkaConnectionError")
        return Reading(self.events, {("order.created", 3): 8}, self.more)

    async def all(self) -> list[Any]:
        self._answer("all")
        return [Topic("order.created", 6, 12, 12), Topic("order.created.dlq", 6, 1, 1)]

    async def newest(self, topic: str) -> Reading:
        return self._answer("newest", topic)

    async def since(self, topic: str, moment: datetime) -> Reading:
        return self._answer("since", topic, moment)

    async def onwards(self, positions: Any) -> Reading:
        return self._answer("onwards", dict(positions))

    async def of_key(self, key: str, since: Any) -> Reading:
        return self._answer("of_key", key, since)

    async def record(self, topic: str, partition: int, offset: int) -> Event | None:
        self._answer("record", topic, partition, offset)
        return next((each for each in self.events if each.offset == offset), None)


class Groups(Kafka):
    async def all(self) -> list[Any]:
        self._answer("all")
        parts = (Part("order.created", 0, 5, 9, None), Part("order.created", 1, None, 3, None))
        return [Group("paymentfc", "Stable", self.members, parts)]


@pytest.fixture
def kafka(browser: Browser) -> Kafka:
    browser.sign_in()
    browser.app.state.topics = made = Kafka()
    return made


@pytest.mark.parametrize(
    ("query", "call"),
    [
        ("topic=order.created", ("newest", "order.created")),
        ("topic=order.created&since=2026-11-28T09:30", ("since", "order.created", AT)),
        ("topic=order.created&since=2026-11-28T16:30%2B07:00", ("since", "order.created", AT)),
        ("topic=order.created&partition=2&offset=5", ("onwards", {("order.created", 2): 5})),
        ("topic=order.created&offset=5", ("onwards", {("order.created", 0): 5})),
        (
            "topic=x&onwards=order.created:3:8,order.created:0:2",
            ("onwards", {("order.created", 3): 8, ("order.created", 0): 2}),
        ),
        ("order=order-42&onwards=order.created:3:8", ("of_key", "order-42", {("order.created", 3): 8})),
    ],
)
async def test_the_form_asks_for_records_by_time_place_and_order(
    browser: Browser, kafka: Kafka, query: str, call: tuple[Any, ...]
) -> None:
    answer = await browser.get(f"/events?{query}")
    assert answer.status_code == 200
    assert kafka.asked == [("all",), call]
    assert 'href="/events/order.created/3/7"' in answer.text
    assert "as its schema" in answer.text


async def test_an_order_is_looked_for_since_it_was_placed_or_since_a_week_when_nobody_knows(
    browser: Browser, kafka: Kafka
) -> None:
    await browser.get("/events?order=42")
    placed = datetime.fromisoformat((browser.platform.facts.order or {})["created_at"])
    assert kafka.asked[-1] == ("of_key", "order-42", placed - timedelta(seconds=5))
    browser.platform.away = {"orderfc"}
    await browser.get("/events?order=42")
    assert timedelta(days=6) < datetime.now(UTC) - kafka.asked[-1][2] < timedelta(days=8)


@pytest.mark.parametrize("path", ["/events?order=42", "/orders/42/trace"])
async def test_who_may_not_ask_for_an_order_is_led_to_the_log_in_or_refused(
    browser: Browser, kafka: Kafka, path: str
) -> None:
    browser.platform.statuses = {"orderfc": 401}
    answer = await browser.get(path)
    assert (answer.status_code, answer.headers.get("location", "")[:6]) == (303, "/login")
    browser.platform.statuses = {"orderfc": 403}
    assert (await browser.get(path)).status_code == 403


async def test_what_was_not_looked_at_is_reached_by_a_button(browser: Browser, kafka: Kafka) -> None:
    assert "Look further" not in (await browser.get("/events?order=42")).text
    kafka.events, kafka.more = [], True
    answer = await browser.get("/events?order=42")
    assert "None was found in what was looked at" in answer.text
    link = re.search(r'name="onwards" value="([^"]+)"', answer.text)
    assert link is not None
    assert positions_of(link[1]) == {("order.created", 3): 8}


@pytest.mark.parametrize(
    "query",
    [
        "order=abc",
        "order=-1",
        "order=²",
        "topic=x&since=soon",
        "topic=x&offset=1e9",
        "onwards=nothing",
        "onwards=a:1:2,b",
    ],
)
async def test_a_question_that_can_not_be_read_is_answered_with_what_is_wrong(
    browser: Browser, kafka: Kafka, query: str
) -> None:
    answer = await browser.get(f"/events?{query}")
    assert answer.status_code == 400
    assert 'class="problem" role="alert"' in answer.text
    assert kafka.asked == [("all",)]


async def test_the_page_of_a_record_shows_value_headers_and_where_its_ids_lead(browser: Browser, kafka: Kafka) -> None:
    text = (await browser.get("/events/order.created/3/7")).text
    assert "&#34;order_id&#34;: 42" in text
    assert f'href="/traces/{TRACE}"' in text
    assert 'href="/orders/42"' in text
    assert "as its schema" in text
    assert (await browser.get("/events/order.created/3/9")).status_code == 404


async def test_a_value_that_breaks_the_contract_is_said_with_the_field(browser: Browser, kafka: Kafka) -> None:
    kafka.events = [event("order.created.dlq", value=CREATED | {"order_id": "42"})]
    text = (await browser.get("/events/order.created.dlq/3/7")).text
    assert "not as its schema" in text
    assert "order_id: " in text


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\x00",
        b'{"order_id": "\\ud800"}',
        HOSTILE.encode(),
        b"[" * 50_000,
        b'{"order_id": ' + b"9" * 5_000 + b"}",
    ],
)
async def test_what_came_from_outside_is_text(browser: Browser, kafka: Kafka, value: bytes | None) -> None:
    hostile = HOSTILE.encode()
    kafka.events = [event(value=value, raw_key=hostile, raw_headers=((HOSTILE, hostile), ("traceparent", hostile)))]
    for path in ("/events?topic=order.created", "/events/order.created/3/7"):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert not re.search(r"<script>|style=|\son\w+=", answer.text)
    assert "&lt;script&gt;" in answer.text


async def test_a_record_that_can_not_be_unpacked_says_why(browser: Browser, kafka: Kafka) -> None:
    kafka.events = [replace(event(), value=None, unreadable="bad checksum")]
    for path in ("/events?topic=order.created", "/events/order.created/3/7"):
        assert "can&#39;t be unpacked: bad checksum" in (await browser.get(path)).text


@pytest.mark.parametrize("path", ["/events", "/events?order=42", "/events/order.created/3/7", "/events/groups"])
async def test_without_kafka_the_pages_say_so(browser: Browser, kafka: Kafka, path: str) -> None:
    kafka.is_away, browser.app.state.groups = True, Groups(is_away=True)
    answer = await browser.get(path)
    assert answer.status_code == 200
    assert "Kafka did not answer: KafkaConnectionError" in answer.text


async def test_groups_are_shown_with_their_lag_and_whether_anybody_works(browser: Browser) -> None:
    browser.sign_in()
    browser.app.state.groups = groups = Groups()
    text = (await browser.get("/events/groups")).text
    assert "lag 4" in text
    assert "orderfc 127.0.0.1" in text
    groups.members = ()
    text = (await browser.get("/events/groups")).text
    assert 'class="badge bad"' in text
    assert "its messages are not being applied" in text


async def test_without_a_session_nothing_of_kafka_is_shown(browser: Browser) -> None:
    browser.app.state.topics = kafka = Kafka()
    for path in ("/events", "/events/groups", "/events/order.created/3/7"):
        assert (await browser.get(path)).status_code == 303
    browser.sign_in("user")
    for path in ("/events", "/events/groups", "/events/order.created/3/7"):
        assert (await browser.get(path)).status_code == 403
    assert not kafka.asked
