"""The lines of the table: what the Go original and this project did before, and what is asked for.

The figures of Go (tuned) and of before were measured on 2026-11-26 in alternating rounds on one machine of 2 cores,
this project at commit 451b0eb with its log in supervisord's pipe, which costs a read 8 %.
"""

from dataclasses import dataclass

MEASURED_BEFORE = "2026-11-26"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of a row. With a `floor`, `must` and `goal` are shares of it. `lower`: less is better."""

    row: str
    figure: str
    title: str
    unit: str
    go: float | None
    before: float | None
    must: float | None
    goal: float | None = None
    floor: str = ""
    lower: bool = False

    def met(self, value: float, floor: float | None, wanted: float | None) -> bool | None:
        """Whether a value reaches `must` or `goal`, or None if nothing is wanted or the floor was not measured."""
        if wanted is None or (self.floor and not floor):
            return None
        measured = value / floor if self.floor and floor else value
        return measured <= wanted if self.lower else measured >= wanted


LINES = (
    Line("ping", "rate", "`GET /ping`, 32 connections", "/s", 36_900, 8_400, 0.50, 0.70, "raw"),
    Line("read-one", "rate", "cached product, 1 id, 32 connections", "/s", 16_000, 3_390, 0.50, None, "raw"),
    Line("read-200", "rate", "cached product, 200 ids, 32 connections", "/s", 15_500, 3_600, 0.50, None, "raw"),
    Line("read-200-two", "rate", "the same, `HTTP_PROCESSES=2`", "/s", 15_500, 6_490, None, 0.90, "raw"),
    Line("search-20", "rate", "search, 20 hits of 10,000, 8 connections", "/s", 425, 1_962, 1_960),
    Line("search-1", "rate", "search, 1 hit, 8 connections", "/s", 246, 2_075, 2_075),
    Line("search-10000", "rate", "search, 10,000 hits, 8 connections", "/s", 435, 150, 450, 600),
    Line("login", "rate", "log-in, 8 connections", "/s", 38.5, 79.4, 0.90, None, "argon2"),
    Line("login", "ping_p99_ms", "`GET /ping` meanwhile, p99", "ms", 96, 7.0, 7.0, lower=True),
    Line(
        "checkout", "rate", "checkout of 2 products, 32 connections, HTTP only", "/s", 1_120, 472, 0.26, 0.35, "pgbench"
    ),
    Line("checkout-key", "rate", "the same with a key each", "/s", 933, 394, 0.24, 0.35, "pgbench"),
    Line("burst", "rate", "burst of 2,000 orders paid at once, completed", "/s", 104, 62, 200, 300),
    Line("burst", "cpu_ms", "its CPU an order", "ms", 12.6, 29, 10, 6.5, lower=True),
    Line("steady", "p50_ms", "checkout to completed at 20/s, p50", "ms", 48.4, 24.8, 25, 15, lower=True),
    Line("steady", "p99_ms", "the same, p99", "ms", 58.4, 44.1, 45, 30, lower=True),
    Line("webhook", "rate", "webhook, 16 connections", "/s", 1_301, 455, 1_300, 2_000),
    Line("stock", "rate", "stock consumer, events", "/s", 824, 1_140, 10_000, 14_000),
    Line("payment", "rate", "payment consumer of orderfc, events", "/s", None, 973, 8_000),
    Line("relay", "rate", "relay, events", "/s", 158, 9_261, 25_000, 30_000),
    Line("relay-one-key", "rate", "relay, one key for all", "/s", None, 883, 3_000),
    Line("memory-fresh", "mib", "memory of four services (PSS), fresh", "MiB", None, 427, None, lower=True),
    Line("memory", "mib", "the same, after the load", "MiB", 169, 472, 450, 400, lower=True),
    Line("start", "seconds", "start of four at once to ready", "s", None, 3.4, 2.0, 1.5, lower=True),
    Line("idle", "cpu_percent", "idle, CPU of four services", "% of a core", 5, 2.0, 1, lower=True),
    Line("idle", "transactions", "idle, transactions", "/s", None, 14.4, 3, lower=True),
    Line("idle", "wake_ups", "idle, wake-ups of four services", "/s", None, 141, 60, lower=True),
)
FLOORS = {
    "raw": "uvicorn with an application that only answers, in the same rounds",
    "pgbench": "pgbench with one statement of the same rows, 8 clients",
    "argon2": "password checks on two threads",
    "search": "the statement of the search by pgbench, 8 clients",
}
