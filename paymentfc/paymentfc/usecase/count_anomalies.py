"""Counts the open anomalies for the metrics."""

from prometheus_client import Gauge

from chassis.db.database import Database
from paymentfc.model.callback import AnomalyKind
from paymentfc.repository import anomalies

OPEN = Gauge(
    "gocommerce_payment_anomalies_open", "Open anomalies by kind, counted up to 10,000 in all, every 30 s", ["kind"]
)

LIMIT = 10_000


async def count_anomalies(db: Database) -> None:
    counts = await anomalies.open_by_kind(db, LIMIT)
    for kind in AnomalyKind:
        OPEN.labels(kind.value).set(counts.get(kind.value, 0))
