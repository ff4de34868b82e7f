"""`fc capacity`: what a load needs, from the costs that `make bench` has measured, and what gives first."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from fc.ops import output
from fc.stack.errors import StackError
from fc.stack.layout import ROOT, SERVICES

RESULTS = ROOT / "scripts" / "bench" / "results"
# The row of the benchmark that measures what one of each costs.
ROWS = {"orders": "burst", "reads": "read-200", "searches": "search-20", "logins": "login"}
PARTS = {
    **dict.fromkeys(SERVICES, ""),
    "postgres": "PostgreSQL",
    "kafka": "Kafka",
    "redis": "Redis",
    "mongo": "MongoDB",
}
POOL = 8
DAY_S = 86_400
KIB_IN_GIB = 2**20
# Events that a service publishes for an order that is paid, at most: orderfc's order.created and stock.updated.
EVENTS = 2
COLUMNS = ("part", "ms an order", "cores", "processes", "connections")


Mix = Mapping[str, float]
"""How many of each kind of ROWS come with one order."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a part needs: cores, and of a service processes of one core and connections to its database."""

    part: str
    order_ms: float
    cores: float
    processes: int | None = None
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A number of orders a second that is not passed without a change, and the change."""

    orders: float
    what: str
    change: str


def newest(folder: Path = RESULTS) -> Mapping[str, Any]:
    """Return the newest whole result of `make bench`. Raises StackError when there is none with all the rows."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    whole = [result for result in results if set(ROWS.values()) <= result["rows"].get("", {}).keys()]
    if not whole:
        raise StackError(f"{folder} has no result of make bench with the rows {', '.join(ROWS.values())}")
    return max(whole, key=lambda result: str(result["date"]))


def cost_us(result: Mapping[str, Any], mix: Mix, part: str) -> float:
    """Return the microseconds of CPU that one order, with all that comes with it, costs a part."""
    return sum(count * float(result["rows"][""][ROWS[kind]]["cpu_us"].get(part, 0.0)) for kind, count in mix.items())


def needs(result: Mapping[str, Any], orders: float, mix: Mix, busy: float) -> list[Need]:
    """Return what each part needs for so many orders a second, when a process may use `busy` of a core on average."""
    found: list[Need] = []
    for part, title in PARTS.items():
        cost = cost_us(result, mix, part)
        cores = orders * cost / 1e6
        if title:
            found.append(Need(title, cost / 1000, cores))
            continue
        processes = max(math.ceil(cores / busy), 1)
        # Each process has a pool; the relay of each has one connection more.
        found.append(Need(part, cost / 1000, cores, processes, processes * (POOL + 1)))
    return found


def bounds(result: Mapping[str, Any], mix: Mix, busy: float, partitions: int) -> list[Bound]:
    """Return what gives first as orders grow, the lowest first."""
    saga = {service: busy * 1e6 / max(cost_us(result, {"orders": 1}, service), 1) for service in SERVICES}
    slowest = min(saga, key=lambda service: saga[service])
    postgres = busy * 1e6 / max(cost_us(result, mix, "postgres"), 1)
    found = [
        Bound(saga[slowest], f"one worker of {slowest}", f"more replicas of {slowest}, up to the number of partitions"),
        Bound(
            saga[slowest] * partitions,
            f"{partitions} partitions, which {partitions} workers of {slowest} share",
            "more partitions",
        ),
        *(
            Bound(postgres * cores, f"PostgreSQL on {cores} cores", change)
            for cores, change in ((2, "more cores"), (16, "a server for each of the four databases"))
        ),
    ]
    relay = result["rows"][""].get("relay")
    if relay:
        rate = relay["figures"]["rate"]["median"]
        found.append(Bound(rate / EVENTS, "the one active relay of a service", "Debezium in place of the relay"))
    return sorted(found, key=lambda bound: bound.orders)


def disk_gib(result: Mapping[str, Any], orders: float) -> dict[str, float]:
    """Return what a day of orders adds to each store; empty when the result does not have it."""
    figures = result["rows"][""]["burst"]["figures"]
    kib = {name: figures[f"{name}_kib"]["median"] for name in ("postgres", "wal", "kafka") if f"{name}_kib" in figures}
    return {name: size * orders * DAY_S / KIB_IN_GIB for name, size in kib.items()}


def capacity(
    orders_per_second: Annotated[float, typer.Option(min=0.01, max=1e6, metavar="N", help="Orders in a second.")],
    reads: Annotated[float, typer.Option(min=0, help="Product pages for each order.")] = 50,
    searches: Annotated[float, typer.Option(min=0, help="Searches for each order.")] = 10,
    logins: Annotated[float, typer.Option(min=0, help="Log-ins for each order.")] = 0.5,
    busy: Annotated[float, typer.Option(min=0.1, max=1, help="Share of a core that a process may use.")] = 0.6,
    partitions: Annotated[int, typer.Option(min=1, max=10_000, help="KAFKA_PARTITIONS.")] = 6,
) -> None:
    """Show what a load needs, from the newest result of make bench, and what gives first; starts nothing."""
    result = newest()
    mix = {"orders": 1.0, "reads": reads, "searches": searches, "logins": logins}
    found = needs(result, orders_per_second, mix, busy)
    rows = [(one.part, f"{one.order_ms:.2f}", f"{one.cores:.2f}", one.processes, one.connections) for one in found]
    total = ("all", f"{sum(one.order_ms for one in found):.2f}", f"{sum(one.cores for one in found):.2f}", "", "")
    output.put_rows(COLUMNS, [*rows, total])
    machine = result["machine"]
    output.say(
        f"\n{orders_per_second:,.10g} orders a second, each with {reads:g} product pages, {searches:g} searches and "
        f"{logins:g} log-ins. Costs of {result['date'][:10]}, commit {result['commit']}, {machine['cores']} cores of "
        f"{machine['cpu']}; a process uses at most {busy:.0%} of a core. MongoDB's is that of its stand-in."
    )
    for name, size in disk_gib(result, orders_per_second).items():
        output.say(f"{name}: {size:,.1f} GiB a day")
    output.say("\nWhat gives first:")
    for bound in bounds(result, mix, busy, partitions):
        sign = "[red]passed[/]" if bound.orders < orders_per_second else "[green]holds[/] "
        output.say(f"{bound.orders:>9,.0f} orders/s  {sign}  {bound.what}. Then: {bound.change}.")
