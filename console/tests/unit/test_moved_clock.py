"""The console after `fc clock advance`: the times of databases have moved, those of Kafka are the machine's."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis import clock
from console.client.admin_api import AdminApi
from console.model.facts import Facts
from console.model.order_waits import waits_of
from console.model.steps import Step
from console.model.timeline import timeline
from console.model.unfinished import Unfinished
from console.model.waits import waits
from console.usecase.browse_events import Question, browse_events
from console.usecase.gather_order import gather_order
from console.usecase.gather_unfinished import gather_unfinished

from .browser import Browser
from .desk import Desk, Kafka, Letter, pending
from .samples import BEGIN, at, completed, record
from .test_events import Kafka as Topics

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def moved(tmp_path: Path) -> Iterator[None]:
    """Have the platform's clock a day ahead."""
    path = tmp_path / "clock"
    path.write_bytes(clock.AHEAD.pack(86_400))
    clock.follow(str(path))
    yield
    clock.follow("")


def api(browser: Browser) -> AdminApi:
    return AdminApi(browser.app.state.http, browser.app.state.urls, browser.token())


async def test_the_records_of_an_order_are_looked_for_since_it_was_placed_by_the_machines_clock(
    browser: Browser,
) -> None:
    facts = await gather_order(api(browser), browser.platform, 42)
    assert (browser.platform.since, facts.ahead) == (BEGIN - DAY, DAY)
    topics = Topics()
    await browse_events(topics, api(browser), Question(order="42"))
    assert topics.asked == [("of_key", "order-42", BEGIN - DAY - timedelta(seconds=5))]


async def test_the_records_of_an_order_that_nobody_knows_are_those_that_the_topics_keep(browser: Browser) -> None:
    browser.platform.away = {"orderfc", "paymentfc"}
    await gather_order(api(browser), browser.platform, 42)
    assert browser.platform.since is not None
    assert abs(datetime.now(UTC) - browser.platform.since - timedelta(days=7)) < timedelta(minutes=1)


async def test_what_has_just_happened_in_kafka_does_not_wait_since_yesterday(browser: Browser) -> None:
    kafka = Kafka((pending("productfc", "stock.updated", 7, seconds=5),), (Letter(8, time=datetime.now(UTC)),))
    desk = Desk(browser, kafka)
    desk.orders()
    desk.payments()
    desk.items()
    for service in ("orderfc", "productfc", "paymentfc"):
        desk.say(service, "outbox", {"items": [], "next_after_id": None})
        desk.say(service, "inbox", desk.inbox)
    unfinished = await gather_unfinished(api(browser), kafka, kafka)
    assert {wait.order_id: wait.age_s < 60 for wait in waits(unfinished, 0)} == {7: True, 8: True}


def not_applied(**fields: Any) -> Facts:
    """Return a completed order by the moved clock with an event in Kafka that nobody has applied."""
    found = completed()
    event = record("stock.rollback", 0, published_at=at(9_000) - DAY, committed_at=None, **fields)
    return replace(found, records=[*found.records, event], ahead=DAY)


@pytest.mark.parametrize("fields", [{}, {"reason": "not_yet"}])
def test_an_event_of_an_order_waits_since_it_was_published(fields: dict[str, str]) -> None:
    [wait] = waits_of(not_applied(**fields))
    assert wait.age_s == 1


def test_an_event_without_a_time_of_its_own_stands_at_its_place_in_the_timeline() -> None:
    [row] = [row for row in timeline(not_applied()).rows if row.title == "stock.rollback"]
    assert row.at == at(9_000)


def test_events_that_were_read_in_databases_have_their_time_already() -> None:
    row = {"topic": "stock.updated", "key": "order-42", "published_at": at(0)}
    [wait] = waits(Unfinished(at(1_000), unapplied=[(row, "productfc")], ahead=DAY), 0)
    assert (wait.step, wait.age_s) == (Step.STOCK, 1)
