"""Checkout over HTTP alone: orderfc and productfc serve requests, and nothing takes the events on."""

from collections.abc import Callable

from bench.speed import floors
from bench.speed.errors import Unmeasured
from bench.speed.figures import Sample
from bench.speed.load import Answers, wrk
from bench.speed.pace import Pace
from bench.speed.reads import CONNECTIONS, loaded
from bench.speed.rows import Group, Row
from bench.speed.seed import baskets
from bench.speed.side import Side

# The saga takes so many of the orders on, for the audit; the others are removed: it would need minutes for them.
KEPT = 100

# An order with all that a checkout stores: its lines, its first step, its two events.
WHOLE = """
SELECT count(*) FROM orders o WHERE id > $1 AND status = 0 AND total_qty = 3
  AND 2 = (SELECT count(*) FROM order_items WHERE order_id = o.id)
  AND 1 = (SELECT count(*) FROM order_history WHERE order_id = o.id)
  AND 2 = (SELECT count(*) FROM outbox WHERE key = 'order-' || o.id)
"""
# The outbox has no index by key.
WHOLE_INDEX = "CREATE INDEX IF NOT EXISTS bench_outbox_key ON outbox (key)"
# A trigger keeps the history of orders from being deleted.
_REMOVE = """
SET session_replication_role = replica;
SELECT id AS id INTO TEMPORARY doomed FROM orders
WHERE id > {first} AND id <= (SELECT max(id) FROM orders) - {kept};
DELETE FROM order_items WHERE order_id IN (SELECT id FROM doomed);
DELETE FROM order_history WHERE order_id IN (SELECT id FROM doomed);
DELETE FROM outbox WHERE key IN (SELECT 'order-' || id FROM doomed);
DELETE FROM idempotency_keys WHERE order_id IN (SELECT id FROM doomed);
DELETE FROM orders WHERE id IN (SELECT id FROM doomed);
DROP INDEX bench_outbox_key;
"""
_LAST = "SELECT coalesce(max(id), 0) FROM orders"


def serve_http(side: Side) -> None:
    """Run the services that a checkout needs, without loops, and userfc for the revoked tokens."""
    side.run(userfc="api", productfc="api", orderfc="api")


def _prepare(side: Side, pace: Pace) -> None:
    serve_http(side)
    side.first_order = side.value("orderfc", _LAST)
    side.answered = 0
    for keyed in (False, True):
        _place(side, pace.warm_s, keyed=keyed)


def _place(side: Side, seconds: float, *, keyed: bool) -> Sample:
    requests = baskets(side, keyed=keyed)

    def work() -> Answers:
        answers = wrk(side.port("orderfc"), requests, CONNECTIONS, seconds=seconds)
        side.answered += answers.good
        return answers

    return loaded(side, work)


def _checkout(*, keyed: bool) -> Callable[[Side, Pace], Sample]:
    return lambda side, pace: _place(side, pace.load_s, keyed=keyed)


def finish(side: Side, _pace: Pace) -> None:
    """Check that every answered order is stored whole, and remove all but the last. Raises Unmeasured."""
    first = side.first_order
    side.stop("orderfc")
    side.query("orderfc", WHOLE_INDEX)
    stored = side.value("orderfc", "SELECT count(*) FROM orders WHERE id > $1", first)
    whole = side.value("orderfc", WHOLE, first)
    answered = side.answered
    side.query("orderfc", _REMOVE.format(first=first, kept=KEPT))
    side.query("orderfc", "VACUUM ANALYZE")
    # Those that were under way when the time was over are stored and have no answer.
    if whole != stored or not answered <= stored:
        raise Unmeasured(f"{answered} orders were answered, {stored} are stored, {whole} of them whole")


CHECKOUT = Group(
    rows=[
        Row("checkout", _checkout(keyed=False), "orderfc", "pgbench"),
        Row("checkout-key", _checkout(keyed=True), "orderfc", "pgbench"),
    ],
    prepare=_prepare,
    finish=finish,
    floors={
        "pgbench": lambda side, pace: floors.pgbench(
            side.postgres(), floors.FLOOR_DATABASE, floors.CHECKOUT, pace.load_s
        )
    },
    orders=True,
)
