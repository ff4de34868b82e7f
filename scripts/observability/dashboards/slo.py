"""SLO: the share of bad events in each window beside what the objective allows."""

from observability.dashboards.grafana import Dashboard, Panel, Query
from observability.dashboards.queries import quantile
from observability.slo import BURNS, OBJECTIVES, Objective, series

_WINDOWS = [window for burn in BURNS for window in (burn.short, burn.long)]


def _panels(one: Objective) -> tuple[Panel, ...]:
    allowed = Query(f"vector({one.allowed})", "allowed")
    shares = (Query(series(one, window), window) for window in dict.fromkeys(_WINDOWS))
    return (
        Panel(
            f"{one.slo.replace('_', ' ').capitalize()}: share of bad",
            "percentunit",
            (*shares, allowed),
            tuple(f"{one.alert}{burn.days}d" for burn in BURNS),
        ),
        Panel(
            f"{one.slo.replace('_', ' ').capitalize()}: burn",
            "short",
            (
                Query(f"{series(one, '1h')} / {one.allowed}", "times what is allowed, 1h"),
                Query(f"{series(one, '3d')} / {one.allowed}", "times what is allowed, 3d"),
            ),
        ),
    )


DASHBOARD = Dashboard(
    "slo",
    "SLO",
    (
        *(panel for one in OBJECTIVES for panel in _panels(one)),
        Panel(
            "Checkouts (p95)",
            "s",
            (
                Query(
                    quantile(
                        0.95,
                        "http_server_request_duration_seconds",
                        'job="orderfc",http_route="/v1/orders/checkout"',
                    ),
                    "p95",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            "Paid to completed (p99)",
            "s",
            (
                Query(
                    quantile(0.99, "gocommerce_event_delay_seconds", 'topic="payment.success",consumer="orderfc"'),
                    "p99",
                ),
            ),
        ),
    ),
)
