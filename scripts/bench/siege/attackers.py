"""Runs all attacks for a time, in a process of its own, and counts the answers."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import httpx2

from bench.siege import requests, sockets
from bench.siege.poison import Poison
from bench.siege.target import Target

NICENESS = 10
Round = Callable[[Counter[str]], Awaitable[None]]
Counts = dict[str, dict[str, int]]


def attack(target: Target, seconds: float) -> Counts:
    """Attack for so many seconds and return what each attack saw, by status or by event."""
    # The machine is shared with what is attacked; the customers' times would measure the attackers' appetite.
    os.nice(NICENESS)
    return asyncio.run(_attack(target, time.monotonic() + seconds))


async def _attack(target: Target, until: float) -> Counts:
    poison = Poison(target.broker)
    await poison.open()
    transport = httpx2.AsyncHTTPTransport(local_address="127.0.0.3", limits=httpx2.Limits(max_connections=400))
    seen: dict[str, Counter[str]] = {}
    group = asyncio.TaskGroup()
    async with httpx2.AsyncClient(transport=transport, timeout=20, trust_env=False) as client, group:
        for name, (pause_s, once) in _attacks(target, client, poison).items():
            seen[name] = Counter()
            group.create_task(_repeat(once, pause_s, until, seen[name]))
    await poison.close()
    return {name: dict(counts) for name, counts in seen.items()}


def _attacks(target: Target, client: httpx2.AsyncClient, poison: Poison) -> dict[str, tuple[float, Round]]:
    """Return each attack with the pause between its rounds in seconds."""
    return {
        "half-sent bodies": (1, partial(sockets.half_sent_bodies, target, "127.0.0.4")),
        "idle sockets": (1, partial(sockets.idle_sockets, target, "127.0.0.5")),
        "endless headers": (5, partial(sockets.endless_headers, target, "127.0.0.6")),
        "costly bodies": (2, partial(requests.costly_bodies, target, client)),
        "log-in guesses": (0.5, partial(requests.guesses, target, client)),
        "forged callbacks": (0.2, partial(requests.forged_callbacks, target, client)),
        "searches": (0.2, partial(requests.searches, target, client)),
        "invoices": (1, partial(requests.downloads, target, client)),
        "probes": (1, partial(requests.probes, target, client)),
        "poison": (2, poison.send),
        "inflated records": (15, poison.inflate),
    }


async def _repeat(once: Round, pause_s: float, until: float, seen: Counter[str]) -> None:
    while (left := until - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                await once(seen)
        except TimeoutError:
            return
        await asyncio.sleep(min(pause_s, max(0.0, until - time.monotonic())))
