"""What the four services take while nobody asks for anything: time to start, memory, and CPU."""

import time

from bench.speed import usage
from bench.speed.figures import Sample, per_unit_us
from bench.speed.pace import Pace
from bench.speed.rows import Group, Row
from bench.speed.side import Side
from fc.stack.layout import SERVICES

# What a start leaves to be done is over by then.
SETTLED_S = 5
_TRANSACTIONS = "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = ANY($1::text[])"


def start(side: Side, _pace: Pace) -> Sample:
    """Start all four at once and wait until each is ready. The shares are the seconds until each is."""
    side.run()
    before, began = dict.fromkeys(SERVICES, 0.0) | side.cpu_s(), time.monotonic()
    for name in SERVICES:
        side.start(name, "serve")
    ready: dict[str, float] = {}
    for name in SERVICES:
        side.wait_ready(name)
        ready[name] = time.monotonic() - began
    return Sample({"seconds": max(ready.values())}, per_unit_us(before, side.cpu_s(), 1), ready)


def memory(side: Side, _pace: Pace) -> Sample:
    """Add up the proportional set sizes of the four services."""
    side.run_all()
    pids = side.pids()
    sizes = {name: usage.pss_mib(pids[name]) for name in SERVICES}
    return Sample({"mib": sum(sizes.values())}, shares=sizes)


def idle(side: Side, pace: Pace) -> Sample:
    """Leave the services alone, and count what they do all the same."""
    side.run_all()
    time.sleep(SETTLED_S)
    pids = {name: pid for name, pid in side.pids().items() if name in SERVICES}
    began, before = time.monotonic(), _readings(side, pids)
    slept = _wake_ups(pids)
    time.sleep(pace.idle_s)
    seconds, after = time.monotonic() - began, _readings(side, pids)
    # A thread that has ended takes its count with it.
    wake_ups = sum(count - slept.get(thread, 0) for thread, count in _wake_ups(pids).items()) / seconds
    cpu, transactions = ((now - then) / seconds for then, now in zip(before, after, strict=True))
    return Sample({"cpu_percent": cpu * 100, "transactions": transactions, "wake_ups": wake_ups})


def _readings(side: Side, pids: dict[str, int]) -> tuple[float, float]:
    transactions = side.value("postgres", _TRANSACTIONS, list(SERVICES))
    return sum(map(usage.cpu_s, pids.values())), float(transactions)


def _wake_ups(pids: dict[str, int]) -> dict[int, int]:
    return {thread: count for pid in pids.values() for thread, count in usage.wake_ups(pid).items()}


FRESH = Group(
    rows=[
        Row("start", start, "paymentfc"),
        Row("memory-fresh", memory, "paymentfc", once=True),
        Row("idle", idle, "paymentfc", once=True),
    ],
)
LOADED = Group(rows=[Row("memory", memory, "paymentfc", once=True)])
