"""Money of a wrong amount: it closes the order at the end of its invoice, or when an administrator says so."""

import time
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from paymentfc.errors import PaymentClosed, PaymentDisputed
from paymentfc.model.payment import Payment, Status

from .bench import Bench, bearer

LESS = Decimal(149_999)


async def paid_wrongly(bench: Bench, **fields: Any) -> Payment:
    payment = await bench.invoiced()
    await bench.callback(payment, **{"paid_amount": LESS, **fields})
    return payment


async def asked(bench: Bench, payment: Payment) -> float:
    """Request the invoice, which is refused as disputed, and return the seconds that it took."""
    began = time.monotonic()
    with pytest.raises(PaymentDisputed):
        await bench.ask(payment.order_id)
    return time.monotonic() - began


async def assert_closed(bench: Bench, payment: Payment) -> None:
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason) == (Status.FAILED, "amount_mismatch")
    failed = {
        "order_id": payment.order_id,
        "status": "FAILED",
        "topic": "payment.failed",
        "reason": "amount_mismatch",
    }
    assert await bench.events(payment.order_id) == [failed]
    with pytest.raises(PaymentClosed):
        await bench.ask(payment.order_id)


@pytest.mark.parametrize("resolved", [False, True])
@pytest.mark.parametrize("fields", [{}, {"paid_amount": Decimal(150_001)}, {"paid_amount": None, "currency": "USD"}])
async def test_past_its_end_the_payment_closes_and_the_money_is_to_be_refunded(
    bench: Bench, fields: dict[str, Any], *, resolved: bool
) -> None:
    payment = await paid_wrongly(bench, **fields)
    if resolved:
        await bench.execute("UPDATE payment_anomalies SET resolved_at = now(), note = 'seen'")
    await bench.expire_locally(payment)
    await bench.sweep()
    await assert_closed(bench, payment)
    sql = "SELECT action, note FROM payment_anomalies WHERE external_id = $1"
    note = "seen" if resolved else "the order was closed: refund the money"
    assert await bench.rows(sql, payment.external_id) == [{"action": "close", "note": note}]


async def test_a_request_past_the_end_closes_it_at_once(bench: Bench) -> None:
    payment = await paid_wrongly(bench)
    await bench.expire_locally(payment)
    with pytest.raises(PaymentClosed):
        await bench.ask(payment.order_id)


@pytest.mark.parametrize("resolved", [False, True])
async def test_until_then_the_invoice_is_refused_at_once(bench: Bench, *, resolved: bool) -> None:
    payment = await paid_wrongly(bench)
    if resolved:
        await bench.execute("UPDATE payment_anomalies SET resolved_at = now(), note = 'seen'")
    assert await asked(bench, payment) < 3
    bench.xendit.faults = ["down"]
    assert await asked(bench, payment) < 3


async def test_a_made_up_wrong_amount_does_not_withhold_the_invoice(bench: Bench) -> None:
    payment = await bench.invoiced()
    await bench.receive(bench.about(payment, paid_amount=LESS))
    assert (await bench.ask(payment.order_id)).invoice_id == payment.invoice_id


async def test_a_status_that_nobody_knows_past_the_end_is_refused_at_once_too(bench: Bench) -> None:
    payment = await bench.invoiced()
    bench.xendit.change(payment.invoice_id, status="REFUNDED")
    await bench.expire_locally(payment)
    await bench.sweep()
    assert await asked(bench, payment) < 3


async def test_an_administrator_closes_the_order_before_its_end(bench: Bench, http: httpx2.AsyncClient) -> None:
    payment = await paid_wrongly(bench)
    admin = bearer(bench.settings, 1, "admin")
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    url = f"/v1/payments/anomalies/{row['id']}/resolve"
    noted = await http.post(url, headers=admin, json={"note": "looked at"})
    assert (noted.status_code, noted.json()["note"]) == (200, "looked at")
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    for _ in range(2):
        closed = await http.post(url, headers=admin, json={"note": "give it back", "action": "close"})
        assert (closed.status_code, closed.json()["note"]) == (200, "looked at")
    await assert_closed(bench, payment)
    await bench.close_invoices()
    assert bench.xendit.live(payment.external_id) == []
    assert await bench.anomalies(payment.order_id) == ["amount_mismatch"]


async def test_an_administrator_closes_an_order_whose_invoice_has_a_status_that_nobody_knows(
    bench: Bench, http: httpx2.AsyncClient
) -> None:
    payment = await bench.invoiced()
    bench.xendit.change(payment.invoice_id, status="REFUNDED")
    await bench.expire_locally(payment)
    await bench.sweep()
    assert (await bench.payment(payment.order_id)).status is Status.PENDING
    admin = bearer(bench.settings, 1, "admin")
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    body = {"note": "seen in the dashboard", "action": "close"}
    for _ in range(2):
        answer = await http.post(f"/v1/payments/anomalies/{row['id']}/resolve", headers=admin, json=body)
        assert answer.status_code == 200
    found = await bench.payment(payment.order_id)
    assert (found.status, found.reason) == (Status.EXPIRED, "expired")
    failed = {"order_id": payment.order_id, "status": "EXPIRED", "topic": "payment.failed", "reason": "expired"}
    assert await bench.events(payment.order_id) == [failed]
    await bench.close_invoices()
    assert await bench.rows("SELECT step FROM invoice_closings") == [{"step": "look_again"}]


async def test_only_money_of_a_wrong_amount_or_an_unknown_status_closes_an_order(
    bench: Bench, http: httpx2.AsyncClient
) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, invoice_id="another")
    admin = bearer(bench.settings, 1, "admin")
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    url = f"/v1/payments/anomalies/{row['id']}/resolve"
    answer = await http.post(url, headers=admin, json={"note": "x", "action": "close"})
    assert (answer.status_code, answer.json()["code"]) == (409, "anomaly_not_closable")
    for action in ("open", "", 1):
        answer = await http.post(url, headers=admin, json={"note": "x", "action": action})
        assert answer.status_code == 400
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    assert row["resolved_at"] is None


async def test_an_order_that_was_paid_after_all_is_not_closed(bench: Bench, http: httpx2.AsyncClient) -> None:
    payment = await paid_wrongly(bench)
    bench.xendit.change(payment.invoice_id, paid_amount=payment.amount)
    await bench.callback(payment)
    admin = bearer(bench.settings, 1, "admin")
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    url = f"/v1/payments/anomalies/{row['id']}/resolve"
    answer = await http.post(url, headers=admin, json={"note": "x", "action": "close"})
    assert answer.status_code == 200
    assert (await bench.payment(payment.order_id)).status is Status.PAID
