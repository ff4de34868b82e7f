"""`make chaos SEED=n [COUNT=n]`: runs plans on a stack of their own and prints schedule, recovery and verdict."""

import asyncio
import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.console import Console

from fc.demo.seed import seed as fill
from fc.platform.errors import CouldNotCheck
from fc.stack.local import Stack
from tests.chaos.kit.network import Network
from tests.chaos.kit.run import OVERRIDES, Chaos, Verdict
from tests.chaos.kit.schedule import plan

console = Console(highlight=False, soft_wrap=True)


def _show(verdict: Verdict) -> None:
    word = "[green]nothing lost[/]" if not verdict.wrong else f"[red]{len(verdict.wrong)} violations[/]"
    console.print(
        f"  {verdict.orders} orders, {verdict.paid} paid; after the healing: ready in {verdict.ready_s:.1f} s, "
        f"at rest in {verdict.recovery_s:.1f} s; then an order in {verdict.fresh_s:.2f} s: {word}"
    )
    for line in verdict.wrong:
        console.print(f"    [red]{line}[/]")


def _keep(verdict: Verdict, path: Path) -> None:
    line = {
        "seed": verdict.plan.seed,
        "faults": [str(fault).strip() for fault in verdict.plan.faults],
        "orders": verdict.orders,
        "paid": verdict.paid,
        "ready_s": round(verdict.ready_s, 2),
        "recovery_s": round(verdict.recovery_s, 2),
        "fresh_s": round(verdict.fresh_s, 2),
        "wrong": verdict.wrong,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


async def _run(stack: Stack, network: Network, seeds: list[int], until: float, record: Path | None) -> list[Verdict]:
    verdicts = []
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        await fill(stack.urls(), stack.accounts())
        for number in seeds:
            if time.monotonic() > until:
                break
            console.print(f"[bold]seed {number}[/]")
            chaos = Chaos(stack, network, client, lambda line: console.print(f"  {line}"))
            verdicts.append(await chaos.run(plan(number)))
            _show(verdicts[-1])
            if record:
                _keep(verdicts[-1], record)
            if verdicts[-1].wrong:
                break
    return verdicts


def main(
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    count: Annotated[int, typer.Option(min=1, help="How many seeds, one after the other.")] = 1,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no further seed after so many minutes.")] = 60,
    record: Annotated[Path | None, typer.Option(help="Add each verdict to this file, a JSON object per line.")] = None,
) -> None:
    """Run seeds until one has violations; then exit with 1 and keep the folder of its stack."""
    logging.disable(logging.CRITICAL)
    home, network = Path(tempfile.mkdtemp(prefix="chaos-")), Network()
    stack = Stack.for_tests(home, OVERRIDES, network.between)
    with network.running():
        stack.up()
        try:
            seeds = list(range(seed, seed + count))
            verdicts = asyncio.run(_run(stack, network, seeds, time.monotonic() + minutes * 60, record))
        except (TimeoutError, ExceptionGroup, CouldNotCheck) as error:
            console.print_exception()
            console.print(f"[red]{error};[/] logs and data: {home}")
            raise typer.Exit(1) from None
        finally:
            stack.down()
    bad = [verdict for verdict in verdicts if verdict.wrong]
    if bad:
        console.print(f"[red]seed {bad[0].plan.seed} has violations;[/] logs and data: {home}")
        raise typer.Exit(1)
    stack.wipe()
    orders, slowest = sum(item.orders for item in verdicts), max(item.recovery_s for item in verdicts)
    console.print(f"[green]{len(verdicts)} seeds, {orders} orders, nothing lost;[/] slowest recovery {slowest:.1f} s")


if __name__ == "__main__":
    typer.run(main)
