"""Counts the refunds that wait for a person, for the metrics."""

from prometheus_client import Gauge

from chassis.db.database import Database
from paymentfc.model.refund import SETTLEABLE
from paymentfc.repository import refunds

OPEN = Gauge(
    "gocommerce_payment_refunds_open",
    "Refunds that wait for a person, up to 10,000 of each status, counted every 30 s",
    ["status"],
)

LIMIT = 10_000


async def count_refunds(db: Database) -> None:
    for status, count in (await refunds.counted(db, SETTLEABLE, LIMIT)).items():
        OPEN.labels(status.value).set(count)
