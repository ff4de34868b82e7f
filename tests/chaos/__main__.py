"""`make chaos SEED=n [COUNT=n]`: runs plans on a stack of their own and prints schedule, recovery and verdict."""

import asyncio
import logging
import tempfile
import time
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.console import Console

from fc.seed import seed as fill
from fc.stack import Stack
from tests.chaos.run import OVERRIDES, Chaos, Verdict
from tests.chaos.schedule import plan

console = Console(highlight=False, soft_wrap=True)


def _show(verdict: Verdict) -> None:
    word = "[green]clean[/]" if verdict.clean else f"[red]{len(verdict.violations)} violations[/]"
    console.print(
        f"  seed {verdict.plan.seed}: {verdict.orders} orders, {verdict.paid} paid, "
        f"at rest {verdict.recovery_s:.1f} s after the healing: {word}"
    )
    for finding in verdict.violations:
        console.print(f"    [red]{finding.shown()}[/]", markup=True)


async def _run(stack: Stack, seeds: list[int], until: float) -> list[Verdict]:
    verdicts = []
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        await fill(stack.urls(), stack.accounts())
        for number in seeds:
            if time.monotonic() > until:
                break
            console.print(f"[bold]seed {number}[/]")
            chaos = Chaos(stack, client, lambda line: console.print(f"  {line}"))
            verdicts.append(await chaos.run(plan(number)))
            _show(verdicts[-1])
            if not verdicts[-1].clean:
                break
    return verdicts


def main(
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    count: Annotated[int, typer.Option(min=1, help="How many seeds, one after the other.")] = 1,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no further seed after so many minutes.")] = 60,
) -> None:
    """Run seeds until one leaves a violation; exit code 1 then, and its stack's folder is kept."""
    logging.disable(logging.CRITICAL)
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    stack = Stack.for_tests(home, OVERRIDES)
    stack.up()
    try:
        verdicts = asyncio.run(_run(stack, list(range(seed, seed + count)), time.monotonic() + minutes * 60))
    finally:
        stack.down()
    bad = [verdict for verdict in verdicts if not verdict.clean]
    if bad:
        console.print(f"[red]seed {bad[0].plan.seed} left violations;[/] logs and data: {home}")
        raise typer.Exit(1)
    stack.wipe()
    orders, slowest = sum(item.orders for item in verdicts), max(item.recovery_s for item in verdicts)
    console.print(f"[green]{len(verdicts)} seeds, {orders} orders, no violation;[/] slowest recovery {slowest:.1f} s")


if __name__ == "__main__":
    typer.run(main)
