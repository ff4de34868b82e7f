"""`fc demo`: six stories on the running stack, each with its checks; the last one measures how long orders take."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
from rich.console import Console
from rich.markup import escape

from fc.demo.shop import Customer, Shop

TIMED_ORDERS = 20
TARGET_MEDIAN_MS = 150


@dataclass
class Story:
    """The output of one story, its failed checks, and an order whose page in the console is worth a look."""

    console: Console
    title: str
    failures: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    order: int | None = None

    def say(self, text: str) -> None:
        """Print one step with the milliseconds since the story began."""
        elapsed = (time.perf_counter() - self.started) * 1000
        self.console.print(f"  [dim]{elapsed:7.0f} ms[/]  {text}")

    def check(self, holds: bool, claim: str, actual: object = "") -> None:
        """Print a claim with its verdict; a false one fails the demo."""
        if holds:
            self.say(f"[green]✓[/] {claim}")
        else:
            self.failures.append(f"{self.title}: {claim} (got {actual})")
            self.say(f"[red]✗ {claim}[/] - got {escape(str(actual))}")


async def _check_stock(story: Story, shop: Shop, product: dict[str, Any], taken: int, claim: str) -> None:
    """Check that `taken` units left the stock. Payment and stock go their own ways: an order can be completed first."""
    with suppress(TimeoutError):
        await shop.wait_stock(product["name"], product["stock"] - taken)
    left = (await shop.product(product["name"]))["stock"]
    story.check(left == product["stock"] - taken, claim, left)


async def pay_and_complete(story: Story, shop: Shop, alice: Customer, _bob: Customer) -> None:
    """An order is placed, stocked, invoiced, paid and completed."""
    product = await shop.product("Ceramic Mug")
    order = await alice.checkout(product, 2)
    story.say(f"checkout answered 201: order {order}, 2 × {product['name']} at {product['price']:,}")
    payment = await alice.invoice(order)
    story.say(f"invoice ready: {payment['invoice_url']}")
    await shop.pay(payment["invoice_id"])
    story.say("paid at the (simulated) payment provider, which calls our webhook")
    await alice.wait_status(order, "completed")
    history = (await alice.order(order))["history"]
    story.check(True, "order is completed: " + " → ".join(step["status"] for step in history))
    await _check_stock(story, shop, product, 2, f"stock went from {product['stock']} to {product['stock'] - 2}")


async def expire_and_compensate(story: Story, shop: Shop, alice: Customer, _bob: Customer) -> None:
    """A payment expires: the order is cancelled and the stock restored to the unit."""
    product = await shop.product("Desk Lamp")
    order = await alice.checkout(product, 3)
    payment = await alice.invoice(order)
    await shop.wait_stock(product["name"], product["stock"] - 3)
    story.say(f"order {order} holds 3 of {product['stock']} × {product['name']}")
    await shop.expire(payment["invoice_id"])
    story.say("the invoice expires unpaid: payment.failed → order cancelled → stock.rollback")
    await alice.wait_status(order, "cancelled")
    await shop.wait_stock(product["name"], product["stock"])
    left = (await shop.product(product["name"]))["stock"]
    story.check(left == product["stock"], f"order {order} is cancelled and the stock is {product['stock']} again", left)
    state = (await alice.payment(order))["status"]
    story.check(state == "EXPIRED", "its payment is EXPIRED", state)


async def race_for_last_unit(story: Story, shop: Shop, alice: Customer, bob: Customer) -> None:
    """Two customers race for the last unit: one gets it, the other is refused or compensated."""
    await shop.set_stock("Last Piece Vase", 1)
    product = await shop.product("Last Piece Vase")
    placed = await _checkout_both(story, product, alice, bob)
    await shop.wait_stock(product["name"], 0)
    if len(placed) == 2:
        loser, order = await _first_cancelled(placed)
        placed.remove((loser, order))
        story.say(f"{loser.name}: order {order} cancelled, because the last unit was already taken")
        state = await loser.wait_payment(order, "FAILED")
        story.check(state["status"] == "FAILED", f"{loser.name}'s payment is closed", state["status"])
        live = await shop.live_invoices(order)
        story.check(live == 0, "the provider has no live invoice of that order", live)
    [(winner, order)] = placed
    payment = await winner.invoice(order)
    await shop.pay(payment["invoice_id"])
    await winner.wait_status(order, "completed")
    left = (await shop.product(product["name"]))["stock"]
    story.check(left == 0, f"{winner.name} has the last unit and the stock is 0", left)


async def _checkout_both(
    story: Story, product: dict[str, Any], alice: Customer, bob: Customer
) -> list[tuple[Customer, int]]:
    """Check out for both at the same time; return the (customer, order id) that were accepted."""
    results = await asyncio.gather(alice.checkout(product, 1), bob.checkout(product, 1), return_exceptions=True)
    placed: list[tuple[Customer, int]] = []
    for customer, result in zip((alice, bob), results, strict=True):
        if isinstance(result, int):
            placed.append((customer, result))
            story.say(f"{customer.name}: checkout accepted, order {result}")
        elif isinstance(result, httpx2.HTTPStatusError) and result.response.status_code == 409:
            story.say(f"{customer.name}: refused at checkout: {result.response.json()['error']}")
        else:
            raise RuntimeError(f"unexpected answer to {customer.name}: {result!r}")
    return placed


async def _first_cancelled(placed: list[tuple[Customer, int]]) -> tuple[Customer, int]:
    async def cancelled(customer: Customer, order: int) -> tuple[Customer, int]:
        await customer.wait_status(order, "cancelled")
        return customer, order

    waits = [asyncio.create_task(cancelled(*entry)) for entry in placed]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def deliver_webhook_thrice(story: Story, shop: Shop, alice: Customer, _bob: Customer) -> None:
    """A webhook is delivered three times and applied once."""
    product = await shop.product("Ceramic Mug")
    order = await alice.checkout(product, 1)
    payment = await alice.invoice(order)
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
    await shop.resend(payment["invoice_id"], 2)
    answers = await shop.deliveries(payment["invoice_id"], 3)
    story.check(answers == [200, 200, 200], "the same webhook was delivered three times, each answered 200", answers)
    history = [step["status"] for step in (await alice.order(order))["history"]]
    story.check(history == ["created", "completed"], f"order {order} was completed once", history)
    await _check_stock(story, shop, product, 1, "one unit left the stock")


async def pay_too_late(story: Story, shop: Shop, alice: Customer, _bob: Customer) -> None:
    """Money arrives for an order that its customer has cancelled, and is given back."""
    product = await shop.product("Ceramic Mug")
    order = await alice.checkout(product, 1)
    payment = await alice.invoice(order)
    await alice.cancel(order)
    await alice.wait_payment(order, "FAILED")
    story.say(f"order {order} is cancelled: its payment is closed, its stock returned")
    await shop.live_invoices(order)
    await shop.pay_late(payment["invoice_id"])
    story.say("the money arrives all the same, too late")
    await alice.wait_status(order, "failed")
    due = await shop.refund_of(order)
    story.check(
        due["status"] == "DUE", f"order {order} is failed, and {due['amount']:,} {due['currency']} are due", due
    )
    await shop.approve(due["id"])
    story.say("an administrator approves the refund, and the provider pays the money back")
    given = await alice.wait_refund(order, "SUCCEEDED")
    story.order = order
    story.check(given["amount"] == payment["amount"], "the customer has all of the money again", given)


async def measure_orders(story: Story, shop: Shop, _alice: Customer, _bob: Customer) -> None:
    """Measure twenty orders from checkout to completed, each paid as soon as its invoice exists.

    Their customer is a new one: a demo that is repeated within a minute would reach CHECKOUT_LIMIT_PER_USER.
    """
    product, buyer = await shop.product("Notebook A5"), await shop.newcomer()
    times = []
    for _ in range(TIMED_ORDERS):
        begun = time.perf_counter()
        order = await buyer.checkout(product, 1)
        payment = await buyer.invoice(order)
        await shop.pay(payment["invoice_id"])
        await buyer.wait_status(order, "completed")
        times.append((time.perf_counter() - begun) * 1000)
    median, slowest = statistics.median(times), max(times)
    story.say(f"{TIMED_ORDERS} orders, checkout to completed: median {median:.0f} ms, slowest {slowest:.0f} ms")
    story.say(f"target: median under {TARGET_MEDIAN_MS} ms" + (" - met" if median < TARGET_MEDIAN_MS else " - missed"))


Scene = Callable[[Story, Shop, Customer, Customer], Awaitable[None]]

STORIES: list[tuple[str, Scene]] = [
    ("An order is paid and completed", pay_and_complete),
    ("A payment expires, the order is compensated", expire_and_compensate),
    ("Two customers race for the last unit", race_for_last_unit),
    ("A webhook is delivered three times", deliver_webhook_thrice),
    ("An order is paid too late and refunded", pay_too_late),
    ("How long an order takes", measure_orders),
]


async def run(
    shop_urls: dict[str, str], accounts: dict[str, Any], console: Console, pages: str | None = None
) -> list[str]:
    """Run all stories against the stack at `shop_urls`; return the claims that are false.

    `pages` is the address of the console.
    """
    failures: list[str] = []
    async with Shop.opened(shop_urls, accounts) as shop:
        alice, bob = await shop.login("alice"), await shop.login("bob")
        for number, (title, scene) in enumerate(STORIES, 1):
            console.print(f"\n[bold]{number}. {title}[/]")
            story = Story(console, title)
            try:
                await scene(story, shop, alice, bob)
            except (TimeoutError, httpx2.HTTPError, RuntimeError) as error:
                story.check(False, "the story runs to its end", f"{type(error).__name__}: {error}")
            failures += story.failures
            if pages and story.order:
                story.say(f"each step of it on one page: {pages}/orders/{story.order}")
    return failures
