"""The gauge of refunds that wait for a person."""

from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import REGISTRY

from chassis.config.settings import load
from chassis.db.database import Database
from paymentfc.config import Settings
from paymentfc.model.refund import SETTLEABLE, RefundStatus
from paymentfc.repository import refunds
from paymentfc.usecase.count_refunds import count_refunds

from .bench import Bench


def shown() -> dict[str, float]:
    values = {
        each.value: REGISTRY.get_sample_value("gocommerce_payment_refunds_open", {"status": each.value})
        for each in RefundStatus
    }
    return {status: value for status, value in values.items() if value is not None}


async def test_refunds_that_wait_for_a_person_are_counted_by_status(bench: Bench) -> None:
    for status in ("DUE", "FAILED", "FAILED", "MANUAL", "REQUESTED", "SUCCEEDED", "SETTLED"):
        payment = await bench.invoiced()
        await bench.callback(payment, "EXPIRED")
        await bench.callback(payment)
        await bench.execute("UPDATE refunds SET status = $2 WHERE order_id = $1", payment.order_id, status)
    await count_refunds(bench.db)
    assert shown() == {"DUE": 1, "FAILED": 2, "MANUAL": 1}
    assert (await refunds.counted(bench.db, SETTLEABLE, 1))[RefundStatus.FAILED] == 1
    await bench.execute("UPDATE refunds SET status = 'SETTLED' WHERE status IN ('DUE', 'FAILED', 'MANUAL')")
    await count_refunds(bench.db)
    assert shown() == {"DUE": 0, "FAILED": 0, "MANUAL": 0}


async def test_they_are_counted_along_their_index(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> None:
    db = Database(load(Settings, **await make_database("paymentfc")))
    async with db.driver() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE counted AS {refunds.COUNTED}")
        plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN EXECUTE counted(NULL, NULL)"))
    await db.close()
    assert "using ix_refunds_status" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "Sort" not in plan, plan
