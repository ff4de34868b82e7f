"""What tracing costs requests and events whose trace is not recorded: `python -m bench.tracing_cost`.

Prints microseconds, the best of several rounds; a round on a busy machine is slower, never faster.
"""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from chassis import telemetry
from chassis.db.outbox_queue import OutboxRow
from chassis.kafka import send_spans
from chassis.kafka.producer import Place

ROUNDS, REPEATS = 300, 100
# So small that no trace is recorded, and not 0, so that each is decided on.
RATIO = 1e-12
EVENTS = 200


def best_us(work: Callable[[], object], units: int = 1) -> float:
    """Return the time of one unit, in microseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(REPEATS):
            work()
        best = min(best, time.perf_counter() - began)
    return best / REPEATS / units * 1e6


def request(headers: dict[str, str], calls: int = 0) -> Callable[[], object]:
    """Return what is done for the span of a request that makes so many calls."""

    def work() -> None:
        with telemetry.tracing.entered("POST", headers) as span:
            telemetry.about_order(7)
            for _ in range(calls):
                with telemetry.client_span("GET", "/v1/products", "http://productfc:28081"):
                    telemetry.inject({})
            telemetry.numbers(span)

    return work


def rows(headers: dict[str, str]) -> Sequence[OutboxRow]:
    now = datetime.now(UTC)
    return [OutboxRow(n, UUID(int=n), "order.created", "order-7", "{}", headers, now, 0) for n in range(EVENTS)]


def main() -> None:
    """Print the costs."""
    telemetry.setup("bench", "http://127.0.0.1:9", RATIO, secret="any")
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}
    events, place = rows(headers), Place(0, 0)
    figures = {
        "request without a trace": best_us(request({})),
        "request with a traceparent": best_us(request(headers)),
        "request that makes a call": best_us(request({}, 1)),
        "event sent": best_us(lambda: send_spans.add(events, place), EVENTS),
        "event consumed": best_us(lambda: telemetry.tracing.may_record(headers)),
        "work of a loop on an order": best_us(lambda: telemetry.work_span("sweep payment", headers["traceparent"], 7)),
    }
    for name, cost_us in figures.items():
        sys.stdout.write(f"{name:<28}{cost_us:7.2f} us\n")


if __name__ == "__main__":
    main()
