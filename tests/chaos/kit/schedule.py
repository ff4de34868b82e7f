"""The faults of a run, their times and lengths: drawn from a seed, so that a run can be repeated."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.kit.network import PARTS

SERVICES = ("userfc", "productfc", "orderfc", "paymentfc")
SERVERS = ("postgres", "redis", "kafka", "mongo")

KILL, FREEZE, STOP, XENDIT, NETWORK = "kill -9", "freeze", "stop", "xendit", "network"

PROVIDER: Sequence[Callable[[random.Random], dict[str, Any]]] = (
    lambda draw: {"drop_webhooks": True},
    lambda draw: {"duplicate_webhooks": draw.randint(1, 3)},
    lambda draw: {"reorder_webhooks": True},
    lambda draw: {"delay_webhooks_s": round(draw.uniform(0.2, 2), 1)},
    lambda draw: {"create_status": {"status": draw.choice([500, 503, 429])}},
    lambda draw: {"create_fails_after_commit": draw.randint(1, 4)},
    lambda draw: {"create_delay_s": round(draw.uniform(0.5, 6), 1)},
    lambda draw: {"list_status": {"status": 500}, "create_fails_after_commit": draw.randint(1, 3)},
    lambda draw: {"get_status": {"status": 503}},
    lambda draw: {"expire_status": {"status": 500}},
    lambda draw: {"webhook_before_response": True},
    lambda draw: {"wrong_token": True},
)
"""Faults of the payment provider, as switches of the simulator."""

NETWORKS: Sequence[Callable[[random.Random], tuple[str, float | int | None]]] = (
    lambda draw: ("refuse", None),
    lambda draw: ("blackhole", None),
    lambda draw: ("delay", round(draw.uniform(0.05, 1.5), 2)),
    lambda draw: ("cut", draw.choice([0, draw.randint(1, 200), draw.randint(200, 20_000)])),
)
"""Modes of a proxy, with seconds or bytes."""


@dataclass(frozen=True)
class Fault:
    """One fault: `at` and `lasts` in seconds since the run began; a kill lasts until the supervisor starts it again.

    `switches` are the simulator's, or the proxy's mode with its value.
    """

    at: float
    kind: str
    target: str
    lasts: float = 0.0
    switches: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        details = ", ".join(name if value is None else f"{name}={value}" for name, value in self.switches)
        what = f"{self.target} {details}".rstrip() if self.kind != XENDIT else details
        duration = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.at:5.1f} s  {self.kind:<8} {what}{duration}"


@dataclass(frozen=True)
class Plan:
    """A whole run: the faults in order, and the load's own seed."""

    seed: int
    length_s: float
    orders: int
    faults: tuple[Fault, ...]


def plan(seed: int, length_s: float = 15.0, orders: int = 40, faults: int = 6) -> Plan:
    """Draw a plan; the same arguments give the same plan."""
    draw = random.Random(seed)
    drawn = sorted((_fault(draw, length_s) for _ in range(faults)), key=lambda fault: fault.at)
    return Plan(seed, length_s, orders, tuple(drawn))


def _fault(draw: random.Random, length_s: float) -> Fault:
    at = round(draw.uniform(0.5, length_s * 0.8), 1)
    kind = draw.choices([KILL, FREEZE, STOP, XENDIT, NETWORK], weights=[4, 2, 2, 3, 4])[0]
    lasts = round(draw.uniform(0.5, length_s * 0.3), 1)
    if kind == XENDIT:
        switches = draw.choice(PROVIDER)(draw)
        return Fault(at, kind, "xendit", lasts, tuple(switches.items()))
    if kind == NETWORK:
        return Fault(at, kind, draw.choice(PARTS), lasts, (draw.choice(NETWORKS)(draw),))
    target = draw.choice(SERVICES + SERVERS)
    return Fault(at, kind, target, 0.0 if kind == KILL else lasts)
