"""The result of a siege: what was measured, the bounds, and which of them are broken."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.siege.attackers import Counts
from bench.siege.honest import Journal

P95_S = 0.5
MEMORY_MIB = 300.0


@dataclass(frozen=True)
class Verdict:
    """Times are in seconds, memory in MiB: the largest PSS of a service with its children, by service.

    `unfair` are the requests of customers that failed otherwise than by 429 or 503 with Retry-After; `named` are the
    invented orders that the audit names; `audit` are the other violations, and what could not be audited.
    """

    minutes: float
    requests: int
    refused: int
    unfair: list[str]
    placed: int
    completed: int
    median_s: float
    p95_s: float
    slowest_s: float
    memory_mib: dict[str, float]
    attacks: Counts
    named: int
    audit: list[str]

    @classmethod
    def of(
        cls,
        minutes: float,
        journal: Journal,
        memory_mib: dict[str, float],
        attacks: Counts,
        named: int,
        audit: list[str],
    ) -> "Verdict":
        times = sorted(journal.seconds)
        return cls(
            minutes=minutes,
            requests=len(times),
            refused=journal.refused,
            unfair=journal.failures,
            placed=journal.placed,
            completed=journal.completed,
            median_s=statistics.median(times) if times else 0.0,
            p95_s=times[int(len(times) * 0.95)] if times else 0.0,
            slowest_s=times[-1] if times else 0.0,
            memory_mib=memory_mib,
            attacks=attacks,
            named=named,
            audit=audit,
        )

    def broken(self) -> list[str]:
        """Return a line for each bound that does not hold."""
        lines = [f"{len(self.unfair)} requests of customers failed, first: {self.unfair[0]}"] if self.unfair else []
        if not self.completed:
            lines.append("no order was completed")
        elif self.completed < self.placed:
            lines.append(f"{self.placed - self.completed} of {self.placed} orders were not completed")
        if self.p95_s >= P95_S:
            lines.append(f"p95 is {self.p95_s * 1000:.0f} ms, the bound {P95_S * 1000:.0f} ms")
        lines += [
            f"{name} took {size:.0f} MiB, the bound is {MEMORY_MIB:.0f} MiB"
            for name, size in self.memory_mib.items()
            if size >= MEMORY_MIB
        ]
        if self.audit:
            lines.append(f"{len(self.audit)} violations in the audit, first: {self.audit[0]}")
        return lines

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "broken": self.broken()}


def show(verdict: Verdict, console: Console) -> None:
    """Print the tables and the verdict."""
    table = Table("attack", "what came of it")
    for name, counts in verdict.attacks.items():
        table.add_row(name, ", ".join(f"{what}: {number:,}" for what, number in sorted(counts.items())))
    console.print(table)
    table = Table("measured", "value", "bound")
    table.add_row("orders completed of placed", f"{verdict.completed} of {verdict.placed}", "all")
    table.add_row("requests of customers", f"{verdict.requests:,}", "")
    table.add_row("refused by 429 or 503 with Retry-After", f"{verdict.refused:,}", "")
    table.add_row("failed otherwise", f"{len(verdict.unfair):,}", "0")
    table.add_row("median, slowest", f"{verdict.median_s * 1000:.0f} ms, {verdict.slowest_s * 1000:.0f} ms", "")
    table.add_row("p95", f"{verdict.p95_s * 1000:.0f} ms", f"{P95_S * 1000:.0f} ms")
    for name, size in verdict.memory_mib.items():
        table.add_row(f"memory of {name}", f"{size:.0f} MiB", f"{MEMORY_MIB:.0f} MiB")
    table.add_row("invented orders that the audit names", f"{verdict.named:,}", "")
    table.add_row("other violations in the audit", str(len(verdict.audit)), "0")
    console.print(table)
    for line in verdict.broken():
        console.print(f"[red]{line}[/]")
    if not verdict.broken():
        console.print("[green]every bound holds[/]")
