"""How long and how often everything is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds; the others are numbers of rounds, orders and events. `bound_s` ends the whole run."""

    bound_s: float
    rounds: int
    warm_s: float
    load_s: float
    search_s: float
    login_s: float
    burst: int
    steady_s: float
    webhooks: int
    stock_events: int
    payment_events: int
    relay_events: int
    keyed_events: int
    idle_s: float


FULL = Pace(
    bound_s=24 * 60,
    rounds=3,
    warm_s=2,
    load_s=8,
    search_s=6,
    login_s=8,
    burst=2_000,
    steady_s=20,
    webhooks=2_000,
    stock_events=20_000,
    payment_events=20_000,
    relay_events=20_000,
    keyed_events=4_000,
    idle_s=60,
)
QUICK = Pace(
    bound_s=200,
    rounds=2,
    warm_s=0.5,
    load_s=2,
    search_s=1.5,
    login_s=2,
    burst=300,
    steady_s=4,
    webhooks=200,
    stock_events=6_000,
    payment_events=6_000,
    relay_events=20_000,
    keyed_events=500,
    idle_s=10,
)
# For the smoke test and for work on the bench itself: the figures say nothing.
TINY = Pace(
    bound_s=200,
    rounds=1,
    warm_s=0.1,
    load_s=0.5,
    search_s=0.5,
    login_s=0.5,
    burst=20,
    steady_s=1,
    webhooks=20,
    stock_events=200,
    payment_events=200,
    relay_events=4_000,
    keyed_events=20,
    idle_s=2,
)
PACES = {"full": FULL, "quick": QUICK, "tiny": TINY}
