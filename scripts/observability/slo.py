"""Writes the rules of the service level objectives: their error ratios, and alerts on how fast the budget burns."""

from dataclasses import dataclass

PERIOD = "30 days"
_CHECKOUT = 'job="orderfc",http_route="/v1/orders/checkout"'
_REQUESTS = "http_server_request_duration_seconds"
_EVENTS = "gocommerce_event_delay_seconds"


@dataclass(frozen=True)
class Objective:
    """What share of events may be bad; `bad` and `total` are counters of them, with WINDOW for the range."""

    slo: str
    alert: str
    allowed: float
    bad: str
    total: str
    what: str
    section: str


@dataclass(frozen=True)
class Burn:
    """The budget is used up in `days` at this `factor`: both windows have to see it, the short one so that it ends."""

    factor: float
    days: int
    long: str
    short: str
    duration: str
    severity: str


# The bound of a bucket is text: prometheus_client writes 1.0.
OBJECTIVES = (
    Objective(
        "checkout_availability",
        "CheckoutAvailabilityBurn",
        0.001,
        f'sum(rate({_REQUESTS}_count{{{_CHECKOUT},http_response_status_code=~"5.."}}[WINDOW])) or vector(0)',
        f"sum(rate({_REQUESTS}_count{{{_CHECKOUT}}}[WINDOW]))",
        "checkouts are answered with 5xx",
        "checkouts-are-refused",
    ),
    Objective(
        "checkout_latency",
        "CheckoutLatencyBurn",
        0.05,
        f"sum(rate({_REQUESTS}_count{{{_CHECKOUT}}}[WINDOW]))"
        f' - sum(rate({_REQUESTS}_bucket{{{_CHECKOUT},le="0.1"}}[WINDOW]))',
        f"sum(rate({_REQUESTS}_count{{{_CHECKOUT}}}[WINDOW]))",
        "checkouts take more than 100 ms",
        "slow-checkouts",
    ),
    Objective(
        "paid_to_completed",
        "CompletionBurn",
        0.01,
        f'sum(rate({_EVENTS}_count{{topic="payment.success",consumer="orderfc"}}[WINDOW]))'
        f' - sum(rate({_EVENTS}_bucket{{topic="payment.success",consumer="orderfc",le="1.0"}}[WINDOW]))',
        f'sum(rate({_EVENTS}_count{{topic="payment.success",consumer="orderfc"}}[WINDOW]))',
        "paid orders are completed more than 1 s after their payment",
        "slow-saga",
    ),
)
# The factors of the SRE workbook, chapter 5: 2 % of the budget in an hour, 5 % in six, 10 % in a day and in three.
BURNS = (
    Burn(14.4, 2, "1h", "5m", "2m", "page"),
    Burn(6, 5, "6h", "30m", "5m", "page"),
    Burn(3, 10, "1d", "2h", "1h", "ticket"),
    Burn(1, 30, "3d", "6h", "1h", "ticket"),
)
_HEAD = """\
# Made by `python -m observability write` from scripts/observability/slo.py. docs/slo.md explains it.
groups:
"""


def text() -> str:
    """Return the file of rules."""
    return _HEAD + "".join(_ratios(one) + _alerts(one) for one in OBJECTIVES)


def series(objective: Objective, window: str) -> str:
    """Return the series that has the ratio of bad events in a window."""
    return f'slo:errors:ratio_rate{window}{{slo="{objective.slo}"}}'


def threshold(objective: Objective, burn: Burn) -> str:
    return f"{objective.allowed * burn.factor:.6g}"


def _ratios(objective: Objective) -> str:
    windows = sorted({window for burn in BURNS for window in (burn.long, burn.short)}, key=_seconds)
    return f"  - name: {objective.slo}\n    rules:\n" + "".join(
        f"      - record: slo:errors:ratio_rate{window}\n"
        "        expr: |\n"
        f"          ({objective.bad.replace('WINDOW', window)})\n"
        f"          / {objective.total.replace('WINDOW', window)}\n"
        f"        labels: {{slo: {objective.slo}}}\n"
        for window in windows
    )


def _alerts(objective: Objective) -> str:
    return "".join(
        f"      - alert: {objective.alert}{burn.days}d\n"
        "        expr: |\n"
        f"          {series(objective, burn.long)} > {threshold(objective, burn)}\n"
        f"          and {series(objective, burn.short)} > {threshold(objective, burn)}\n"
        f"        for: {burn.duration}\n"
        f"        labels: {{severity: {burn.severity}}}\n"
        "        annotations:\n"
        f'          summary: "{{{{ $value | humanizePercentage }}}} of {burn.long}: {objective.what}"\n'
        f"          description: >-\n"
        f"            {objective.what}, so many in {burn.long} and in {burn.short} that the budget of {PERIOD} lasts"
        f" {burn.days} days\n"
        f"          runbook_url: docs/operations.md#{objective.section}\n"
        "          console_url: /metrics-explorer\n"
        for burn in BURNS
    )


def _seconds(window: str) -> int:
    return int(window[:-1]) * {"m": 60, "h": 3600, "d": 86400}[window[-1]]
