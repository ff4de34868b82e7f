"""When each step of an order was recorded in the databases, as medians since the checkout was sent."""

from collections.abc import Mapping

from bench.speed.figures import percentile
from bench.speed.side import Side

_KEYS = "(SELECT 'order-' || id FROM unnest($1::bigint[]) AS id)"
_SECONDS = "extract(epoch FROM {})::float8"
# Step -> service, the moment, and the rows with their order; `$1` has the orders.
STEPS: dict[str, tuple[str, str, str]] = {
    "order stored": ("orderfc", "created_at", "id, {} FROM orders WHERE id = ANY($1)"),
    "events sent": (
        "orderfc",
        "max(published_at)",
        f"substr(key, 7)::bigint, {{}} FROM outbox WHERE key IN {_KEYS} GROUP BY key",
    ),
    "stock taken": (
        "productfc",
        "min(created_at)",
        "order_id, {} FROM stock_ledger WHERE order_id = ANY($1) GROUP BY order_id",
    ),
    "payment stored": ("paymentfc", "create_time", "order_id, {} FROM payments WHERE order_id = ANY($1)"),
    "invoice stored": ("paymentfc", "invoice_time", "order_id, {} FROM payments WHERE order_id = ANY($1)"),
    "callback stored": (
        "paymentfc",
        "min(create_time)",
        "substr(external_id, 7)::bigint, {} FROM payment_callbacks"
        f" WHERE external_id IN {_KEYS} GROUP BY external_id",
    ),
    "payment confirmed": ("paymentfc", "paid_at", "order_id, {} FROM payments WHERE order_id = ANY($1)"),
    "payment.success sent": (
        "paymentfc",
        "max(published_at)",
        f"substr(key, 7)::bigint, {{}} FROM outbox WHERE key IN {_KEYS} GROUP BY key",
    ),
    "order completed": (
        "orderfc",
        "created_at",
        "order_id, {} FROM order_history WHERE status = 2 AND order_id = ANY($1)",
    ),
}


def steps(side: Side, sent: Mapping[int, float]) -> dict[str, float]:
    """Return the median milliseconds from sending a checkout to each step that was recorded."""
    found = {}
    for name, (service, moment, rows) in STEPS.items():
        moments = side.query(service, f"SELECT {rows.format(_SECONDS.format(moment))}", list(sent))
        took = [(row[1] - sent[row[0]]) * 1000 for row in moments if row[1] is not None]
        if took:
            found[name] = percentile(took, 0.5)
    return found
