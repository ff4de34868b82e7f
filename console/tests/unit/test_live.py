"""Live pages: one asks for all who look, nobody asks when nobody looks, and a stream ends when it must."""

import asyncio
import json
import re

import pytest

from chassis.auth.tokens import encode_token
from console.handler import live, watches
from console.handler.session import COOKIE
from console.handler.watches import Gone, Seen, Viewer, Watches
from testkit import eventually

from .browser import Browser
from .streams import stream


class Page:
    """A page that counts how often it is asked for, by whom."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone: set[str] = set()

    def viewer(self, name: str) -> Viewer:
        async def look() -> Seen:
            self.asked.append(name)
            if name in self.gone:
                raise Gone
            return Seen(str(len(self.asked)))

        return Viewer(look)


async def test_a_page_is_asked_for_once_for_all_its_viewers_and_not_after_the_last_has_left() -> None:
    page, live = Page(), Watches()
    first, second = page.viewer("first"), page.viewer("second")
    live.join("/x", first)
    live.join("/x", second)
    await eventually(lambda: first.seen is not None and first.seen is second.seen)
    assert set(page.asked) == {"second"}
    await live.leave("/x", second)
    live.wake("/x")
    await eventually(lambda: "first" in page.asked)
    await live.leave("/x", first)
    asked = len(page.asked)
    live.wake("/x")
    await asyncio.sleep(0)
    assert (live.addresses, len(page.asked)) == (frozenset(), asked)


async def test_news_of_an_order_have_its_page_asked_for_at_once_and_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "INTERVAL_S", 60.0)
    page, live = Page(), Watches()
    viewer = page.viewer("viewer")
    live.join("/orders/42", viewer)
    await eventually(lambda: viewer.seen is not None)
    live.news("order-42")
    await eventually(lambda: len(page.asked) >= 2 + len(watches.SOON_S))
    await live.leave("/orders/42", viewer)


async def test_a_viewer_whose_session_has_ended_is_told_and_another_one_asks_on() -> None:
    page, live = Page(), Watches()
    first, second = page.viewer("first"), page.viewer("second")
    page.gone.add("second")
    live.join("/x", first)
    live.join("/x", second)
    await eventually(lambda: second.is_gone and first.seen is not None)
    assert not first.is_gone
    for viewer in (first, second):
        await live.leave("/x", viewer)


async def test_a_page_that_fails_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "INTERVAL_S", 0.01)
    live, asked = Watches(), []

    async def look() -> Seen:
        asked.append(1)
        if len(asked) < 2:
            raise RuntimeError("a defect")
        return Seen("")

    viewer = Viewer(look)
    live.join("/x", viewer)
    await eventually(lambda: viewer.seen is not None)
    await live.leave("/x", viewer)


async def test_there_are_places_for_a_bounded_number_of_streams() -> None:
    live = Watches()
    taken = [live.take_place() for _ in range(watches.MAX_VIEWERS + 1)]
    assert (taken.count(True), taken[-1]) == (watches.MAX_VIEWERS, False)
    live.leave_place()
    assert live.take_place()


async def test_an_order_that_changes_is_shown_without_a_reload(browser: Browser, address: str) -> None:
    browser.platform.away = {"productfc"}
    async with stream(browser, f"{address}/live/orders/42") as events:
        assert "productfc did not answer" in await anext(events)
        browser.platform.away = set()
        browser.app.state.live.wake("/orders/42")
        later = await anext(events)
        while "productfc did not answer" in later:
            later = await anext(events)
        assert "stock taken" in later
        assert "<html" not in later
    await eventually(lambda: not browser.app.state.live.addresses)


async def test_a_browser_that_comes_back_is_not_sent_what_it_has(browser: Browser, address: str) -> None:
    async with stream(browser, f"{address}/live/orders/42") as events:
        [known] = [line[4:] for line in (await anext(events)).splitlines() if line.startswith("id: ")]
    async with stream(browser, f"{address}/live/orders/42", **{"Last-Event-ID": known}) as events:
        browser.platform.away = {"productfc"}
        browser.app.state.live.wake("/orders/42")
        assert "productfc did not answer" in await anext(events)


async def test_a_stream_ends_when_its_person_logs_out(browser: Browser, address: str) -> None:
    async with stream(browser, f"{address}/live/orders/42") as events:
        await anext(events)
        browser.revoke()
        browser.app.state.live.wake("/orders/42")
        assert not [event async for event in events if event.startswith("event: ")]
    assert not browser.app.state.live.addresses


@pytest.mark.parametrize("is_revoked", [True, False])
async def test_a_stream_whose_token_a_service_refuses_goes_on_in_a_new_session_or_says_that_it_is_over(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch, is_revoked: bool
) -> None:
    async def wait(*_given: object) -> None:
        if is_revoked:
            browser.revoke()

    monkeypatch.setattr(live, "_until_stopped", wait)
    async with stream(browser, f"{address}/live/orders/42") as events:
        await anext(events)
        browser.platform.statuses = dict.fromkeys(("orderfc", "paymentfc", "productfc"), 401)
        browser.app.state.live.wake("/orders/42")
        last = [event.splitlines()[0] async for event in events if event.startswith("event: ")]
    assert last == ([] if is_revoked else ["event: ended"])


async def test_a_stream_whose_token_a_service_refuses_ends_at_once_with_the_process(
    browser: Browser, address: str
) -> None:
    watched, platform = browser.app.state.live, browser.platform
    async with stream(browser, f"{address}/live/orders/42") as events:
        await anext(events)
        asked = len(platform.asked)
        platform.statuses = dict.fromkeys(("orderfc", "paymentfc", "productfc"), 401)
        watched.wake("/orders/42")
        await eventually(lambda: len(platform.asked) > asked)
        stop = asyncio.Event()
        stop.set()
        await watched.run(stop)
        async with asyncio.timeout(live.REFUSED_S / 2):
            assert not [event async for event in events if event.startswith("event: ")]


async def test_a_page_of_one_person_does_not_go_on_as_another_one(browser: Browser, address: str) -> None:
    browser.sign_in()
    found = re.search(r"data-hx-headers='({.*?})'", (await browser.get("/orders/42")).text)
    assert found is not None
    headers = json.loads(found[1])
    async with stream(browser, f"{address}/live/orders/42", **headers) as events:
        assert "id: " in await anext(events)
    browser.http.cookies.set(
        COOKIE, encode_token(browser.settings.jwt_secret, user_id=8, email="b", role="admin"), domain="localhost.local"
    )
    async with stream(browser, f"{address}/live/orders/42", **headers) as events:
        assert [event.splitlines() async for event in events] == [["event: ended", "data: ended"]]
    assert not browser.app.state.live.addresses


async def test_a_page_with_nothing_more_to_show_ends_its_stream_for_good(browser: Browser, address: str) -> None:
    async with stream(browser, f"{address}/live/orders/42") as events:
        await anext(events)
        browser.platform.statuses = dict.fromkeys(("orderfc", "paymentfc", "productfc"), 403)
        browser.app.state.live.wake("/orders/42")
        assert [event async for event in events][-1].splitlines()[0] == "event: ended"
