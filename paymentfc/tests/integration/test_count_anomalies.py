"""The gauge of open anomalies."""

from prometheus_client import REGISTRY

from paymentfc.model.callback import AnomalyKind
from paymentfc.repository import anomalies
from paymentfc.usecase.count_anomalies import count_anomalies

from .bench import Bench


def counted() -> dict[str, float]:
    """Return the kinds that have open anomalies."""
    name = "gocommerce_payment_anomalies_open"
    values = {kind.value: REGISTRY.get_sample_value(name, {"kind": kind.value}) for kind in AnomalyKind}
    assert None not in values.values(), "a kind without an anomaly is missing"
    return {kind: value for kind, value in values.items() if value}


async def test_open_anomalies_are_counted_by_kind_and_resolved_ones_are_not(bench: Bench) -> None:
    for _ in range(2):
        payment = await bench.invoiced()
        await bench.callback(payment, amount=payment.amount - 1)
    await count_anomalies(bench.db)
    assert counted() == {"amount_mismatch": 2}
    async with bench.db.transaction() as tx:
        [row, _] = await tx.driver().fetch("SELECT id FROM payment_anomalies")
        await anomalies.resolve(tx, row["id"], "paid back")
    await count_anomalies(bench.db)
    assert counted() == {"amount_mismatch": 1}
    assert await anomalies.open_by_kind(bench.db, 0) == {}
