"""Live pages: one asks for all who look, nobody asks when nobody looks, and a stream ends when it must."""

import asyncio

import pytest

from console.handler import live, watches
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


async def test_a_stream_whose_token_a_service_refuses_first_ends_without_a_word(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REFUSED_S", 0.05)
    async with stream(browser, f"{address}/live/orders/42") as events:
        await anext(events)
        browser.platform.statuses = dict.fromkeys(("orderfc", "paymentfc", "productfc"), 401)
        browser.app.state.live.wake("/orders/42")
        assert not [event async for event in events if event.startswith("event: ")]


async def test_a_page_with_nothing_more_to_show_ends_its_stream_for_good(browser: Browser, address: str) -> None:
    async with stream(browser, f"{address}/live/orders/42") as events:
        await anext(events)
        browser.platform.statuses = dict.fromkeys(("orderfc", "paymentfc", "productfc"), 403)
        browser.app.state.live.wake("/orders/42")
        assert [event async for event in events][-1].splitlines()[0] == "event: ended"
