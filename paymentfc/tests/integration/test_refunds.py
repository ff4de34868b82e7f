"""Money that was not owed has a refund, written in the transaction that finds it; administrators ask for others."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from paymentfc.model.callback import Outcome
from paymentfc.model.payment import Payment, Status

from .bench import Bench, bearer
from .refund_steps import paid

SHOWN = "SELECT cause, amount, currency, status FROM refunds WHERE order_id = $1 ORDER BY id"
FACTS = "SELECT event, actor, metadata::text AS facts FROM audit_outbox WHERE event LIKE 'refund.%' ORDER BY id"
SETTLE = "/v1/payments/refunds/{}/settle"

Story = Callable[[Bench, Payment], Awaitable[object]]


async def late(bench: Bench, payment: Payment) -> None:
    await bench.callback(payment, "EXPIRED")
    assert await bench.callback(payment) is Outcome.LATE
    await bench.callback(payment, "SETTLED")


async def rejected(bench: Bench, payment: Payment) -> None:
    await bench.callback(payment)
    for _ in range(2):
        await bench.rejected(payment.order_id)
    await bench.cancelled(payment.order_id)


async def cancelled(bench: Bench, payment: Payment) -> None:
    await bench.callback(payment)
    await bench.cancelled(payment.order_id)
    await bench.rejected(payment.order_id)


async def late_for_a_cancelled_order(bench: Bench, payment: Payment) -> None:
    await bench.cancelled(payment.order_id)
    await bench.callback(payment)


async def twice(bench: Bench, payment: Payment) -> None:
    for number in (1, 2, 3, 2):
        await bench.callback(payment, receipt=f"va_{number}")


async def late_and_twice(bench: Bench, payment: Payment) -> None:
    await bench.callback(payment, "EXPIRED")
    for number in (1, 2):
        await bench.callback(payment, receipt=f"va_{number}")


async def wrong(bench: Bench, payment: Payment) -> None:
    await bench.callback(payment, paid_amount=Decimal(149_999))
    await bench.expire_locally(payment)
    await bench.sweep()


async def wrong_currency(bench: Bench, payment: Payment) -> None:
    await bench.callback(payment, currency="USD", paid_amount=Decimal("9.5"))
    await bench.expire_locally(payment)
    await bench.sweep()


async def wrong_and_cancelled(bench: Bench, payment: Payment) -> None:
    await bench.callback(payment, paid_amount=Decimal(149_999))
    await bench.cancelled(payment.order_id)
    await bench.close_invoices()


async def wrong_for_a_rejected_order(bench: Bench, payment: Payment) -> None:
    await bench.rejected(payment.order_id)
    await bench.callback(payment, currency="USD", paid_amount=Decimal("9.5"))
    await bench.close_invoices()


async def wrong_and_late(bench: Bench, payment: Payment) -> None:
    await bench.callback(payment, "EXPIRED")
    await bench.callback(payment, paid_amount=Decimal(149_999))
    for _ in range(2):
        await bench.execute("UPDATE invoice_closings SET due_at = now()")
        await bench.close_invoices()


async def paid_while_swept(bench: Bench, payment: Payment) -> None:
    """Let a callback pay the payment while the sweep asks Xendit, which names a further one."""
    await bench.expire_locally(payment)
    [swept] = await bench.checks.claim_past_expiry(8)
    await bench.callback(payment, receipt="va_1")
    bench.xendit.change(payment.invoice_id, receipt="va_2")
    await bench.checks.sweep(swept)


def due(cause: str, amount: object = 150_000, currency: str = "IDR") -> dict[str, Any]:
    return {"cause": cause, "amount": Decimal(str(amount)), "currency": currency, "status": "DUE"}


STORIES: dict[str, tuple[Story, list[dict[str, Any]]]] = {
    "late": (late, [due("paid_after_close")]),
    "rejected": (rejected, [due("stock_rejected")]),
    "cancelled": (cancelled, [due("order_cancelled")]),
    "late for a cancelled order": (late_for_a_cancelled_order, [due("paid_after_close")]),
    "twice": (twice, [due("paid_twice"), due("paid_twice")]),
    "late and twice": (late_and_twice, [due("paid_after_close"), due("paid_twice")]),
    "wrong": (wrong, [due("amount_mismatch", 149_999)]),
    "wrong currency": (wrong_currency, [due("amount_mismatch", "9.5", "USD")]),
    "wrong and cancelled": (wrong_and_cancelled, [due("amount_mismatch", 149_999)]),
    "wrong for a rejected order": (wrong_for_a_rejected_order, [due("amount_mismatch", "9.5", "USD")]),
    "wrong and late": (wrong_and_late, [due("amount_mismatch", 149_999)]),
    "paid while swept": (paid_while_swept, [due("paid_twice")]),
}


@pytest.fixture
def admin(bench: Bench) -> dict[str, str]:
    """The header of an administrator."""
    return bearer(bench.settings, 9, "admin")


@pytest.mark.parametrize("name", STORIES)
async def test_money_that_was_not_owed_is_due_once_with_its_audit_entry(bench: Bench, name: str) -> None:
    story, expected = STORIES[name]
    payment = await bench.invoiced()
    await story(bench, payment)
    assert await bench.rows(SHOWN, payment.order_id) == expected
    entries = [json.loads(row["facts"]) for row in await bench.rows(FACTS) if row["event"] == "refund.due"]
    assert [(entry["cause"], Decimal(entry["amount"])) for entry in entries] == [
        (row["cause"], row["amount"]) for row in expected
    ]


async def test_the_refund_is_written_in_the_transaction_that_finds_the_money(bench: Bench) -> None:
    payment = await bench.invoiced()
    await late_for_a_cancelled_order(bench, payment)
    [row] = await bench.rows(
        "SELECT r.xmin::text AS refund, p.xmin::text AS payment, a.xmin::text AS anomaly FROM refunds r"
        " JOIN payments p ON p.id = r.payment_id JOIN payment_anomalies a ON a.payment_id = p.id"
    )
    assert row["refund"] == row["payment"] == row["anomaly"]


async def test_money_that_was_owed_has_no_refund(bench: Bench) -> None:
    await paid(bench)
    open_ = await bench.invoiced()
    await bench.callback(open_, paid_amount=Decimal(149_999))
    unknown = await bench.invoiced()
    await bench.callback(unknown, invoice_id="another")
    made_up = await bench.invoiced()
    await bench.callback(made_up, "EXPIRED")
    await bench.receive(bench.about(made_up))
    await bench.confirm_later()
    unpaid = await bench.invoiced()
    await bench.cancelled(unpaid.order_id)
    assert await bench.rows("SELECT cause FROM refunds") == []


async def test_an_administrator_who_closes_an_order_has_its_money_given_back_once(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, paid_amount=Decimal(149_999))
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    url, body = f"/v1/payments/anomalies/{row['id']}/resolve", {"note": "x", "action": "close"}
    for _ in range(2):
        assert (await http.post(url, headers=admin, json=body)).status_code == 200
    await bench.expire_locally(payment)
    await bench.sweep()
    assert await bench.rows(SHOWN, payment.order_id) == [due("amount_mismatch", 149_999)]


async def test_a_wrong_amount_beside_the_right_one_is_given_back_and_the_order_stays_paid(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, receipt="va_1", paid_amount=Decimal(1))
    bench.xendit.change(payment.invoice_id, paid_amount=None, receipt=None, status="PENDING")
    assert await bench.callback(payment, receipt="va_2") is Outcome.PAID
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    url, body = f"/v1/payments/anomalies/{row['id']}/resolve", {"note": "x", "action": "close"}
    assert (await http.post(url, headers=admin, json=body)).status_code == 200
    assert await bench.rows(SHOWN, payment.order_id) == [due("amount_mismatch", 1)]
    assert (await bench.payment(payment.order_id)).status is Status.PAID


async def test_a_refund_is_settled_once_with_its_anomaly_and_says_who_did_it(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    payment = await bench.invoiced()
    await late_and_twice(bench, payment)
    [_, row] = (await http.get("/v1/payments/refunds", headers=admin)).json()["items"]
    for note in ("bank transfer 7", "again"):
        answer = await http.post(SETTLE.format(row["id"]), headers=admin, json={"note": note})
        assert (answer.status_code, answer.json()["status"], answer.json()["note"]) == (
            200,
            "SETTLED",
            "bank transfer 7",
        )
    resolved = "SELECT kind, note FROM payment_anomalies WHERE resolved_at IS NOT NULL"
    assert await bench.rows(resolved) == [{"kind": "paid_after_close", "note": "bank transfer 7"}]
    [entry] = [entry for entry in await bench.rows(FACTS) if entry["event"] == "refund.settled"]
    assert entry["actor"] == "admin:9"
    assert json.loads(entry["facts"]) == {
        "refund_id": row["id"],
        "cause": "paid_after_close",
        "amount": "150000.00",
        "currency": "IDR",
        "note": "bank transfer 7",
        "address": "127.0.0.1",
    }
    unknown = await http.post(SETTLE.format(2**62), headers=admin, json={"note": "x"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", STORIES)
async def test_when_all_refunds_are_settled_no_anomaly_is_open(
    bench: Bench, http: httpx2.AsyncClient, admin: dict[str, str], name: str
) -> None:
    payment = await bench.invoiced()
    await STORIES[name][0](bench, payment)
    for row in (await http.get("/v1/payments/refunds", headers=admin)).json()["items"]:
        assert (await http.post(SETTLE.format(row["id"]), headers=admin, json={"note": "x"})).status_code == 200
    assert await bench.rows("SELECT kind FROM payment_anomalies WHERE resolved_at IS NULL") == []
