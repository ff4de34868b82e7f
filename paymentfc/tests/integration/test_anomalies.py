"""Anomalies: one per distinct case, open again when money comes to it."""

from typing import Any

import pytest

from paymentfc.model.callback import Outcome

from .bench import Bench

OPEN = "SELECT kind, received, paid FROM payment_anomalies WHERE external_id = $1 AND resolved_at IS NULL"


async def resolve_all(bench: Bench) -> None:
    await bench.execute("UPDATE payment_anomalies SET resolved_at = now(), note = 'only an expiry'")


@pytest.mark.parametrize("resolved", [False, True])
async def test_money_for_an_invoice_whose_anomaly_is_known_comes_to_sight_again(
    bench: Bench, *, resolved: bool
) -> None:
    payment = await bench.invoiced()
    strange = {"invoice_id": f"strange-{payment.order_id}"}
    await bench.callback(payment, "EXPIRED", **strange)
    if resolved:
        await resolve_all(bench)
    assert await bench.callback(payment, "PAID", **strange) is Outcome.ANOMALY
    received = f"{strange['invoice_id']} PAID"
    found = await bench.rows(OPEN, payment.external_id)
    assert found == [{"kind": "unknown_invoice", "received": received, "paid": True}]
    assert (await bench.audits(payment.order_id)).count("payment.anomaly") == 2


async def test_an_invoice_of_a_wrong_amount_that_is_paid_after_all_comes_to_sight_again(bench: Bench) -> None:
    bench.xendit.faults = ["wrong_amount"]
    payment = await bench.invoiced()
    [wrong] = bench.xendit.invoices.values()
    assert [row["paid"] for row in await bench.rows(OPEN, payment.external_id)] == [False]
    await resolve_all(bench)
    await bench.callback(payment, "PAID", invoice_id=wrong.id, amount=wrong.amount)
    assert [row["paid"] for row in await bench.rows(OPEN, payment.external_id)] == [True]


@pytest.mark.parametrize("status", ["PAID", "SETTLED", "EXPIRED"])
async def test_a_resolved_case_of_money_stays_resolved_when_it_is_told_again(bench: Bench, status: str) -> None:
    payment = await bench.invoiced()
    strange = {"invoice_id": f"strange-{payment.order_id}"}
    await bench.callback(payment, "PAID", **strange)
    await resolve_all(bench)
    await bench.callback(payment, status, **strange)
    assert await bench.rows(OPEN, payment.external_id) == []
    assert (await bench.audits(payment.order_id)).count("payment.anomaly") == 1


async def test_money_that_comes_again_for_an_invoice_once_unknown_names_its_order(bench: Bench) -> None:
    order_id, ahead = bench.new_id(), await bench.invoiced()
    early = {"invoice_id": f"strange-{order_id}", "external_id": f"order-{order_id}"}
    await bench.callback(ahead, "REFUNDED", **early)
    await resolve_all(bench)
    await bench.order(order_id)
    await bench.callback(ahead, "PAID", invoice_id=f"own-{order_id}", external_id=early["external_id"])
    await bench.callback(ahead, "PAID", **early)
    sql = "SELECT order_id FROM payment_anomalies WHERE invoice_id = $1 AND kind = $2 AND resolved_at IS NULL"
    assert await bench.rows(sql, early["invoice_id"], "unknown_invoice") == [{"order_id": order_id}]


@pytest.mark.parametrize(
    ("external_id", "order_id"),
    [("order-8000000001", 8_000_000_001), ("order-08", None), ("order-9223372036854775808", None), ("testing", None)],
)
async def test_an_anomaly_without_a_payment_is_found_in_the_audit_log_by_what_the_callback_names(
    bench: Bench, external_id: str, order_id: int | None
) -> None:
    ahead = await bench.invoiced()
    await bench.execute("DELETE FROM payment_callbacks WHERE external_id = $1", external_id)
    await bench.callback(ahead, "PAID", invoice_id=f"i-{external_id}", external_id=external_id)
    sql = "SELECT order_id, payment_id FROM audit_outbox WHERE external_id = $1 AND event = 'payment.anomaly'"
    found: list[dict[str, Any]] = await bench.rows(sql, external_id)
    assert found == [{"order_id": order_id, "payment_id": None}]
