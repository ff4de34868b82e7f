"""The contract of paymentfc's lists for administrators, of the audit log and of its events, over the running stack."""

from typing import Any

import orjson
import pytest

from fc.demo.shop import Customer, Shop, poll
from tests.contract.api import Api, Payment
from tests.kit.answers import outcome
from tests.kit.bus import Bus


async def test_failed_payments_are_listed_newest_first_with_their_true_number_expired_ones_included(
    payment: Payment, api: Api, shop: Shop, alice: Customer
) -> None:
    before = (await api.ask("paymentfc", "GET", "/v1/payments/failed", api.admin)).json()
    await shop.expire(payment["invoice_id"])
    await alice.wait_payment(payment["order_id"], "EXPIRED")
    shown = (await api.ask("paymentfc", "GET", "/v1/payments/failed?page=1&page_size=1", api.admin)).json()
    assert set(shown) == {"total_failed_payments", "payment_list"}
    assert shown["total_failed_payments"] == before["total_failed_payments"] + 1
    [row] = shown["payment_list"]
    assert set(row) == {
        "id",
        "order_id",
        "user_id",
        "amount",
        "user_email",
        "status",
        "retry_count",
        "notes",
        "create_time",
        "update_time",
    }
    assert (row["order_id"], row["status"], row["notes"]) == (payment["order_id"], "EXPIRED", "expired")


@pytest.mark.parametrize("name", ["failed", "anomalies", "failed-events", "audit-logs"])
async def test_a_list_for_administrators_has_pages_of_1_to_100(api: Api, name: str) -> None:
    path = f"/v1/payments/{name}"
    for query in ("page=0", "page_size=0", "page_size=101", "page=x"):
        assert outcome(await api.ask("paymentfc", "GET", f"{path}?{query}", api.admin)) == (400, "validation_failed")
    shown = await api.ask("paymentfc", "GET", f"{path}?page=1&page_size=100", api.admin)
    assert shown.status_code == 200
    if name != "failed":
        assert set(shown.json()) == {"items", "total", "page", "page_size"}
        assert (shown.json()["page"], shown.json()["page_size"]) == (1, 100)
        first = (await api.ask("paymentfc", "GET", path, api.admin)).json()
        assert (first["page"], first["page_size"]) == (1, 20)


async def test_an_anomaly_is_resolved_once_and_answers_its_row(payment: Payment, api: Api) -> None:
    await api.callback(payment, "REFUNDED")
    [found] = await api.anomalies(payment["external_id"])
    path = f"/v1/payments/anomalies/{found['id']}/resolve"
    first = await api.ask("paymentfc", "POST", path, api.admin, json={"note": "seen"})
    again = await api.ask("paymentfc", "POST", path, api.admin, json={"note": "seen twice"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json() == found | {"note": "seen", "resolved_at": first.json()["resolved_at"]}
    assert first.json()["resolved_at"].endswith("Z")
    unknown = await api.ask(
        "paymentfc", "POST", f"/v1/payments/anomalies/{2**62}/resolve", api.admin, json={"note": "seen"}
    )
    assert outcome(unknown) == (404, "not_found")


async def test_the_audit_log_tells_each_step_of_an_order_once(
    payment: Payment, api: Api, shop: Shop, alice: Customer
) -> None:
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(payment["order_id"], "completed")
    path = f"/v1/payments/audit-logs?order_id={payment['order_id']}"
    steps = ["event.published", "invoice.created", "payment.created", "payment.paid"]

    async def told() -> list[dict[str, Any]] | None:
        found = (await api.ask("paymentfc", "GET", path, api.admin)).json()["items"]
        return found if len(found) >= len(steps) else None

    entries = await poll(told, "all audit entries")
    assert sorted(entry["event"] for entry in entries) == steps
    for entry in entries:
        assert set(entry) == {
            "event_id",
            "order_id",
            "payment_id",
            "user_id",
            "external_id",
            "event",
            "actor",
            "metadata",
            "create_time",
            "prev_hash",
            "hash",
        }
    hashes = {entry["hash"] for entry in entries}
    assert len(hashes) == len(steps)
    assert {entry["prev_hash"] for entry in entries} - hashes == {"0" * 64}
    [paid] = (await api.ask("paymentfc", "GET", f"{path}&event=payment.paid", api.admin)).json()["items"]
    assert paid == next(entry for entry in entries if entry["event"] == "payment.paid")


async def test_the_event_of_a_payment_is_exactly_the_contracts(
    payment: Payment, shop: Shop, alice: Customer, bus: Bus
) -> None:
    await shop.expire(payment["invoice_id"])
    await alice.wait_status(payment["order_id"], "cancelled")
    [event] = [event for event in await bus.events_of(payment["order_id"]) if event.topic == "payment.failed"]
    assert orjson.loads(event.value or b"") == {
        "order_id": payment["order_id"],
        "status": "EXPIRED",
        "topic": "payment.failed",
        "reason": "expired",
    }
