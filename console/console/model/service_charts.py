"""The charts of the metrics page and of a service's page, from the rings."""

from collections.abc import Callable, Mapping

from console.model import families as fam
from console.model.lines import Chart, Line
from console.model.overview import CHECKOUT
from console.model.readings import Point, Readings
from console.model.topology import SERVICES, WORKERS
from console.model.written import mebibytes, per_second, seconds, share, whole

Figure = Callable[[Readings], list[Point]]
Write = Callable[[float | None], str]


def service_charts(readings: Readings, now: float) -> list[Chart]:
    """Draw one service: requests, their duration, the lag of its event loop, and its CPU time."""
    percentiles = [("p50", 0.5), ("p95", 0.95)]
    requests = [
        Line("all", _requests(readings)),
        Line("answered 5xx", readings.rate_points(f"{fam.REQUESTS}_count", error_type="!", http_route=fam.NO_PROBES)),
    ]
    late = [
        Line(name, readings.quantile_points(part, fam.REQUESTS, http_route=fam.NO_PROBES)) for name, part in percentiles
    ]
    loop = [Line("p95", readings.quantile_points(0.95, fam.LOOP))]
    return [
        Chart("requests", "Requests", requests, per_second, now),
        Chart("late", "Request duration", late, seconds, now),
        Chart("loop", "Event loop lag", loop, seconds, now),
        Chart("cpu", "CPU time", [Line("of a core", readings.rate_points(fam.CPU))], share, now),
    ]


def all_charts(readings: Mapping[str, Readings], now: float) -> list[Chart]:
    """Draw the twelve charts of the platform."""

    def each(services: tuple[str, ...], figure: Figure) -> list[Line]:
        return [Line(name, figure(readings[name])) for name in services]

    orders, payments = readings["orderfc"], readings["paymentfc"]
    checkout = [("p50", 0.5), ("p95", 0.95)]
    return [
        Chart("orders", "Orders by status", _by(orders, fam.ORDERS, "to"), per_second, now),
        Chart(
            "checkout",
            "Checkout duration",
            [Line(name, orders.quantile_points(part, fam.REQUESTS, http_route=CHECKOUT)) for name, part in checkout],
            seconds,
            now,
        ),
        Chart("requests", "Requests", each(SERVICES, _requests), per_second, now),
        Chart("late", "Request duration, p95", each(SERVICES, _late), seconds, now),
        Chart("errors", "Requests answered 5xx", each(SERVICES, _errors), per_second, now),
        Chart("delay", "Events: from commit until applied, p95", each(WORKERS, _delay), seconds, now),
        Chart("outbox", "Events in outboxes", each(WORKERS, _pending), whole, now),
        Chart("lag", "Consumer lag", each(WORKERS, _lag), whole, now),
        Chart("xendit", "Calls of Xendit", _xendit(payments), per_second, now),
        Chart("loop", "Event loop lag, p95", each(SERVICES, _loop), seconds, now),
        Chart("cpu", "CPU time, of a core", each(SERVICES, _cpu), share, now),
        Chart("memory", "Memory", each(SERVICES, _memory), mebibytes, now, unit=2**20),
    ]


def _by(readings: Readings, name: str, label: str) -> list[Line]:
    return [Line(value, readings.rate_points(name, **{label: value})) for value in readings.values_of(name, label)]


def _xendit(payments: Readings) -> list[Line]:
    name, other = f"{fam.CALLS}_count", "!/v1/products"
    return [
        Line("answered", payments.rate_points(name, url_template=other, error_type="")),
        Line("failed", payments.rate_points(name, url_template=other, error_type="!")),
    ]


def _requests(readings: Readings) -> list[Point]:
    return readings.rate_points(f"{fam.REQUESTS}_count", http_route=fam.NO_PROBES)


def _errors(readings: Readings) -> list[Point]:
    return readings.rate_points(f"{fam.REQUESTS}_count", error_type="!", http_route=fam.NO_PROBES)


def _late(readings: Readings) -> list[Point]:
    return readings.quantile_points(0.95, fam.REQUESTS, http_route=fam.NO_PROBES)


def _delay(readings: Readings) -> list[Point]:
    return readings.quantile_points(0.95, fam.DELAY)


def _pending(readings: Readings) -> list[Point]:
    return readings.gauge_points(fam.PENDING)


def _lag(readings: Readings) -> list[Point]:
    return readings.gauge_points(fam.LAG)


def _loop(readings: Readings) -> list[Point]:
    return readings.quantile_points(0.95, fam.LOOP)


def _cpu(readings: Readings) -> list[Point]:
    return readings.rate_points(fam.CPU)


def _memory(readings: Readings) -> list[Point]:
    return readings.gauge_points(fam.MEMORY)
