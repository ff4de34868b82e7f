"""What a screen reader is told of a page that changes: one sentence now and then, and the last one always."""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from console.handler import live, rendering, watches

from .browser import Browser
from .streams import stream

SPOKEN = re.compile(r'<hx-partial hx-target="#said"[^>]*>(.*?)</hx-partial>')
CHANGES = 20


def change(browser: Browser, status: str) -> None:
    facts = browser.platform.facts
    browser.platform.facts = replace(facts, order={**facts.order, "status": status})
    browser.app.state.live.wake("/orders/42")


def identity(event: str) -> str:
    return next(line[4:] for line in event.splitlines() if line.startswith("id: "))


async def told_of_changes(browser: Browser, events: AsyncIterator[str]) -> list[tuple[float, str]]:
    """Change an order 20 times, each time when the last change is shown; return what was said, and when."""
    told: list[tuple[float, str]] = []
    done = 0
    async for event in events:
        told.extend((time.monotonic(), sentence) for sentence in SPOKEN.findall(event))
        if done < CHANGES:
            done += 1
            change(browser, f"status-{done}")
        elif told and told[-1][1] == f"Order 42 is status-{CHANGES}":
            return told
    raise AssertionError("the stream has ended")


async def test_of_many_changes_a_viewer_is_told_seldom_and_of_the_last_one(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SENTENCE_S", 0.5)
    monkeypatch.setattr(watches, "SHORTEST_S", 0.03)
    monkeypatch.setattr(watches, "INTERVAL_S", 0.1)
    async with stream(browser, f"{address}/live/orders/42") as events:
        told = await told_of_changes(browser, events)
    # A sentence may be late on a busy machine, and the next one then comes sooner after it.
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(told)]
    assert 2 <= len(told) < CHANGES
    assert all(gap > 0.25 for gap in gaps), gaps


async def test_who_comes_back_is_told_what_changed_meanwhile_but_not_at_once(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SENTENCE_S", 0.3)
    monkeypatch.setattr(watches, "INTERVAL_S", 0.05)
    async with stream(browser, f"{address}/live/orders/42") as events:
        known = identity(await anext(events))
    change(browser, "failed")
    begun = time.monotonic()
    async with stream(browser, f"{address}/live/orders/42", **{"Last-Event-ID": known}) as events:
        while not (told := SPOKEN.findall(await anext(events))):
            pass
    assert told == ["Order 42 is failed"]
    assert time.monotonic() - begun >= 0.3


def test_a_page_has_one_place_that_speaks() -> None:
    parts = Path(rendering.__file__).parent.parent / "templates/parts"
    speaks = re.compile(r"aria-live|role=.(status|alert|log)")
    assert [each.name for each in parts.iterdir() if speaks.search(each.read_text())] == []
