"""Takes the pictures, or those whose names are given, and writes them to docs/console."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Error, expect
from rich.console import Console

from fc.demo import stories
from fc.demo.seed import seed
from fc.demo.shop import Shop
from fc.stack import observe
from fc.stack.layout import CONSOLE, ROOT
from fc.stack.local import Stack
from tests.console.kit.operator import Desk, signed_in
from tests.console.screenshots.shots import SHOTS, Shot
from tests.console.screenshots.story import Story
from tests.kit import chromium, processes

FOLDER = ROOT / "docs/console"
MAX_BYTES = 150_000
# Text without coloured edges: the files are smaller.
PLAIN_TEXT = ("--disable-lcd-text",)


async def _take(desk: Desk, story: Story, shot: Shot) -> None:
    theme, size = "dark" if shot.dark else "light", {"width": shot.width, "height": shot.height}
    async with desk.operator(viewport=size, color_scheme=theme, reduced_motion="reduce") as operator:
        if shot.address == "/login":
            await operator.page.context.clear_cookies()
        answer = await operator.page.goto(desk.url + shot.address.format(**story.orders))
        if answer is None or not answer.ok:
            raise AssertionError(f"{shot.address} answers {answer and answer.status}")
        if shot.shows:
            await expect(operator.page.locator("main")).to_contain_text(shot.shows, timeout=10_000)
        await operator.page.wait_for_load_state("load")
        if await operator.page.locator("#live").count():
            await operator.page.wait_for_selector("html[data-live=on]", timeout=10_000)
        await operator.page.screenshot(path=FOLDER / f"{shot.name}.png")


def programs(stack: Stack, away: Sequence[str]) -> list[str]:
    """Return the names of the programs; `kafka` are all of its brokers."""
    brokers = [broker.name for broker in stack.programs.brokers]
    return [each for name in away for each in (brokers if name == "kafka" else [name])]


async def _all(stack: Stack, desk: Desk, story: Story, shots: Sequence[Shot]) -> list[str]:
    """Take the pictures. Returns the names of those that could not be taken, or are too large."""
    failed = []
    for away in dict.fromkeys(shot.away for shot in shots):
        async with AsyncExitStack() as exits:
            if away:
                await exits.enter_async_context(processes.stopped(stack, *programs(stack, away)))
                await story.wait()
            failed += [shot.name for shot in shots if shot.away == away and not await _told(desk, story, shot)]
    return failed


async def _told(desk: Desk, story: Story, shot: Shot) -> bool:
    try:
        await _take(desk, story, shot)
    except (AssertionError, Error) as error:
        sys.stdout.write(f"{shot.name}: {str(error).splitlines()[0]}\n")
        return False
    size = (FOLDER / f"{shot.name}.png").stat().st_size
    sys.stdout.write(f"{shot.name}.png  {size / 1000:.0f} kB\n")
    return size <= MAX_BYTES


async def main(names: Sequence[str]) -> None:
    """Start a stack, tell the story, take the pictures, remove the stack."""
    shots = [shot for shot in SHOTS if not names or shot.name in names]
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        stack = Stack.for_tests(Path(home), console=True)
        observe.trace(stack.layout)
        await asyncio.to_thread(stack.up)
        try:
            failed = await _run(stack, shots)
        finally:
            await asyncio.to_thread(stack.down)
    if failed:
        sys.exit(f"Not taken, or larger than {MAX_BYTES / 1000:.0f} kB: {', '.join(failed)}")


async def _run(stack: Stack, shots: Sequence[Shot]) -> list[str]:
    await seed(stack.urls(), stack.accounts())
    await stories.run(stack.urls(), stack.accounts(), Console(quiet=True))
    async with Shop.opened(stack.urls(), stack.accounts()) as shop, chromium.launched(*PLAIN_TEXT) as browser:
        story = Story(stack, shop, await shop.login("alice"))
        await story.tell()
        email, password = stack.accounts()["admin"]
        return await _all(stack, await signed_in(browser, stack.layout.url(CONSOLE), email, password), story, shots)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
