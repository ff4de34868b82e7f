"""Orders of which Kafka was read in part."""

from dataclasses import replace

from console.client.admin_api import AdminApi
from console.model.facts import PARTLY_READ
from console.model.order_waits import waits_of
from console.model.timeline import timeline
from console.usecase.gather_order import gather_order

from .browser import Browser
from .samples import completed


async def test_what_was_not_read_in_kafka_is_unknown_and_not_missing(browser: Browser) -> None:
    found = completed()
    browser.platform.facts = replace(found, records=found.records[:2])
    api = AdminApi(browser.app.state.http, browser.app.state.urls, browser.token())
    browser.platform.all_read = False
    facts = await gather_order(api, browser.platform, 42)
    assert (len(facts.records), facts.unread) == (2, {"kafka": PARTLY_READ})
    shown = timeline(facts)
    assert (shown.waits, shown.notes) == ((), (f"kafka: {PARTLY_READ}; others may be missing",))
    browser.platform.all_read = True
    [wait] = waits_of(await gather_order(api, browser.platform, 42))
    assert wait.cause == "payment.success is neither in an outbox nor on its topic"


async def test_an_order_that_no_service_knows_is_not_known_by_a_part_of_kafka(browser: Browser) -> None:
    api = AdminApi(browser.app.state.http, browser.app.state.urls, browser.token())
    browser.platform.all_read = False
    assert (await gather_order(api, browser.platform, 43)).is_empty
    browser.platform.away = {"kafka"}
    assert not (await gather_order(api, browser.platform, 43)).is_empty
