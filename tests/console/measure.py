"""`make console-figures`: the times of the console on a stack of its own. Bytes and requests are tests."""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import psutil

from fc.demo.seed import seed
from fc.demo.shop import Customer, Shop
from fc.stack.layout import CONSOLE
from fc.stack.local import Stack
from tests.console.kit.operator import Desk, signed_in
from tests.kit import chromium

RATE, SECONDS = 10, 20
EVENTS = 20
VIEWERS, IDLE_S = 20, 20.0
# The time at which a browser first has the row of the event, in milliseconds since 1970.
_SHOWN = """() => new Promise((done) => {
  const row = () => document.querySelector("[id^=row-event-payment-success]");
  const look = () => row() && done(Date.now());
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true, attributes: true});
  look();
})"""


def say(name: str, text: str) -> None:
    sys.stdout.write(f"{name:<52} {text}\n")


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"p50 {statistics.median(ordered):.0f} ms, p95 {ordered[int(len(ordered) * 0.95)]:.0f} ms"


async def pages(desk: Desk, order: int) -> None:
    times: list[float] = []
    async with desk.plain() as http:

        async def one(number: int) -> None:
            await asyncio.sleep(number / RATE)
            begun = time.perf_counter()
            (await http.get(f"/orders/{order}")).raise_for_status()
            times.append((time.perf_counter() - begun) * 1000)

        await http.get(f"/orders/{order}")
        await asyncio.gather(*(one(number) for number in range(RATE * SECONDS)))
    say(f"/orders/{{id}}, {RATE}/s, {RATE * SECONDS} requests", _spread(times))


async def events(desk: Desk, shop: Shop, buyer: Customer) -> None:
    delays: list[float] = []
    product = await shop.product("Notebook A5")
    async with desk.operator() as operator:
        for _ in range(EVENTS):
            order = await buyer.checkout(product, 1)
            payment = await buyer.invoice(order)
            await operator.open(f"/orders/{order}")
            await operator.page.wait_for_selector("html[data-live=on]")
            shown = asyncio.ensure_future(operator.page.evaluate(_SHOWN))
            await shop.pay(payment["invoice_id"])
            at_ms = await shown
            async with desk.plain() as http:
                told = (await http.get(f"/orders/{order}.json")).json()["timeline"]["rows"]
            [row] = [each for each in told if each["title"] == "payment.success"]
            delays.append(at_ms - datetime.fromisoformat(row["event"]["published_at"]).timestamp() * 1000)
    say(f"event on its topic -> in the DOM, {EVENTS} orders", _spread(delays))


async def idle(desk: Desk, stack: Stack, order: int) -> None:
    process = psutil.Process(stack.supervisor.state(CONSOLE).pid)
    async with desk.plain() as http, AsyncExitStack() as exits:
        for _ in range(VIEWERS):
            answer = await exits.enter_async_context(http.stream("GET", f"/live/orders/{order}"))
            task = asyncio.create_task(_drain(answer.aiter_bytes()))
            exits.callback(task.cancel)
        before, begun = sum(process.cpu_times()[:2]), time.monotonic()
        await asyncio.sleep(IDLE_S)
        used = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - begun)
        memory = process.memory_info().rss / 1024**2
    say(f"{VIEWERS} viewers of an order at rest", f"{used * 100:.1f} % of a core, {memory:.0f} MiB")


async def _drain(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass


async def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        stack = Stack.for_tests(Path(home), console=True)
        await asyncio.to_thread(stack.up)
        try:
            await seed(stack.urls(), stack.accounts())
            async with Shop.opened(stack.urls(), stack.accounts()) as shop, chromium.launched() as browser:
                desk = await signed_in(browser, stack.layout.url(CONSOLE), *stack.accounts()["admin"])
                buyer = await shop.newcomer()
                order = await buyer.checkout(await shop.product("Ceramic Mug"), 1)
                await shop.pay((await buyer.invoice(order))["invoice_id"])
                await buyer.wait_status(order, "completed")
                await pages(desk, order)
                await events(desk, shop, buyer)
                await idle(desk, stack, order)
        finally:
            await asyncio.to_thread(stack.down)


if __name__ == "__main__":
    asyncio.run(main())
