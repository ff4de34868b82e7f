"""What the metrics say about orders: how they move, and how long they take."""

from collections.abc import Sequence

from prometheus_client import Counter

from chassis.metrics import Histogram
from orderfc.model import Cause, Status

TRANSITIONS = Counter(
    "gocommerce_order_transitions_total", "Orders that were placed or changed, by status and cause", ["to", "cause"]
)
# From the saga alone to a customer who pays on the last day.
DURATION = Histogram(
    "gocommerce_order_duration_seconds",
    "Time from an order's checkout to its end",
    ["to"],
    (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 900, 3_600, 14_400, 86_400),
)
_PLACED = TRANSITIONS.labels("created", "checkout")


def placed() -> None:
    _PLACED.inc()


def moved(orders: Sequence[tuple[Status, float]], cause: Cause) -> None:
    """Record the new status of each order that was changed and committed, with the seconds since its checkout."""
    for status in Status:
        # Compared, because the hash of an enumeration is slow.
        if ages_s := [age_s for reached, age_s in orders if reached is status]:
            TRANSITIONS.labels(status.wire, cause.value).inc(len(ages_s))
            DURATION.labels(status.wire).observe_all(ages_s)
