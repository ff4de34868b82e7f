"""The end of each broker test: nothing refused, nothing lost, an exact audit; and the figures of the fault."""

import json
import os
from pathlib import Path

from tests.brokers.kit.cluster import whole
from tests.brokers.kit.orders import Orders, delays
from tests.chaos.kit.arena import Arena


async def nothing_lost(arena: Arena, orders: Orders, fault: str) -> None:
    """Check the orders of a load after a fault, and that the next fault meets a whole cluster. Writes the figures down.

    The fault has to be over, and marked by `arena.healed`.
    """
    assert not orders.refused, f"{len(orders.refused)} checkouts were refused, the first: {orders.refused[0]}"
    await arena.exact()
    found = await delays(arena, orders)
    await whole(arena)
    _record(
        fault=fault,
        orders=len(orders.placed),
        slowest_checkout_s=orders.slowest_s,
        longest_send_s=found.sent_s,
        longest_effect_s=found.applied_s,
        recovery_s=arena.recovery_s or 0.0,
    )


def _record(**figures: object) -> None:
    """Append the figures to the file that BROKERS_RECORD names, if any."""
    if path := os.environ.get("BROKERS_RECORD"):
        test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0]
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": test, **figures}) + "\n")
