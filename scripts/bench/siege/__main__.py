"""`make siege`: a stack, customers, attackers, the audit and the verdict; exits with 1 when a bound is broken."""

import asyncio
import json
import logging
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console

from bench.siege.attackers import Counts, attack
from bench.siege.honest import Customers
from bench.siege.memory import Memory
from bench.siege.poison import FIRST_INVENTED
from bench.siege.target import PRODUCT, WEBHOOK_TOKEN, Target, addresses, prepare
from bench.siege.verdict import Verdict, show
from fc.audit.rules.rule import Level
from fc.audit.run import run_audit
from fc.demo.seed import seed
from fc.demo.shop import Shop
from fc.platform.errors import CouldNotCheck
from fc.platform.sources import Sources
from fc.stack import ports
from fc.stack.layout import ROOT, Layout
from fc.stack.local import Stack

MAX_MINUTES = 60.0
HOSTILE_ORDERS = 20
QUIET_S = 240.0
console = Console(highlight=False, soft_wrap=True)


def main(
    minutes: Annotated[float, typer.Option(min=0.1, max=MAX_MINUTES, help="How long.")] = 10,
    rate: Annotated[float, typer.Option(min=0.1, max=20, help="Orders of customers in a second.")] = 5,
    record: Annotated[Path, typer.Option(help="The file for the result as JSON.")] = ROOT / ".local/siege.json",
) -> None:
    """Besiege a stack of its own on free ports of this machine, with the settings of a fresh installation."""
    logging.disable(logging.CRITICAL)
    home = Path(tempfile.mkdtemp(prefix="siege-"))
    stack = Stack(Layout(home, ports.free_offset()), {"XENDIT_WEBHOOK_TOKEN": WEBHOOK_TOKEN}, settings={})
    console.print(f"starting a stack in {home}")
    try:
        stack.up()
        verdict = asyncio.run(besiege(stack, minutes, rate))
    finally:
        stack.down()
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(verdict.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    show(verdict, console)
    if verdict.broken():
        console.print(f"logs and data: {home}, result: {record}")
        raise typer.Exit(1)
    stack.wipe()


async def besiege(stack: Stack, minutes: float, rate: float) -> Verdict:
    """Run customers and attackers side by side on a stack that is up, then wait for rest and audit."""
    await seed(stack.urls(), stack.accounts())
    memory = Memory(stack)
    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=200), timeout=15, trust_env=False) as client:
        urls = addresses(stack)
        product = await Shop(client, urls, dict(stack.accounts())).product(PRODUCT)
        customers = Customers(client, urls, product)
        await customers.open()
        target = await prepare(stack, client, product, HOSTILE_ORDERS)
        watching = asyncio.create_task(memory.watch())
        attacks = await _side_by_side(customers, target, minutes * 60, rate)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    return Verdict.of(minutes, customers.journal, memory.largest, attacks, *await _audit(stack))


async def _side_by_side(customers: Customers, target: Target, seconds: float, rate: float) -> Counts:
    console.print(f"{seconds:.0f} s, {rate:g} orders a second")
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        attacking = loop.run_in_executor(pool, attack, target, seconds)
        await customers.run(seconds, rate)
        return await attacking


async def _audit(stack: Stack) -> tuple[int, list[str]]:
    """Return for how many invented orders the audit names the stock that was given back, and all else it finds.

    A stock.rollback cannot be told from a true one: it leaves a mark that the order takes no stock.
    """
    console.print("waiting for rest, then the audit")
    try:
        report = await run_audit(Sources.of_stack(stack.layout), quiesce_s=QUIET_S)
    except CouldNotCheck as error:
        return 0, [f"not audited: {error}"]
    violations = [finding for finding in report.findings if finding.level is Level.VIOLATION]
    others = [one for one in violations if one.rule != "ledger_order" or (one.order_id or 0) < FIRST_INVENTED]
    lines: list[Any] = [
        *(one.as_json() for one in others),
        *(f"not read: {why}" for why in report.unread.values()),
    ]
    return len(violations) - len(others), [str(line) for line in lines]


if __name__ == "__main__":
    typer.run(main)
