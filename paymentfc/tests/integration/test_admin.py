"""The lists for administrators: failed payments, anomalies, parked events and the audit log."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from chassis.db.outbox_queue import OutboxRow
from chassis.events import Event
from paymentfc.config import Settings
from paymentfc.repository import failed_events, published
from paymentfc.repository.audit import AuditLog
from paymentfc.usecase.deliver_audit import deliver_audit
from testkit import free_port

from .bench import Bench, bearer

LISTS = ("failed", "anomalies", "failed-events", "audit-logs")


@pytest.fixture
def admin(settings: Settings) -> dict[str, str]:
    """The header of an administrator."""
    return bearer(settings, 9, "admin")


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_is_for_administrators_only(http: httpx2.AsyncClient, settings: Settings, name: str) -> None:
    assert (await http.get(f"/v1/payments/{name}")).status_code == 401
    assert (await http.get(f"/v1/payments/{name}", headers=bearer(settings, 3))).status_code == 403


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page_size=0", "page_size=101", "page=", "page=9223372036854775808"]
)
async def test_a_page_that_can_not_be_is_400(
    http: httpx2.AsyncClient, admin: dict[str, str], name: str, query: str
) -> None:
    answer = await http.get(f"/v1/payments/{name}?{query}", headers=admin)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_failed_and_expired_payments_are_listed_newest_first_with_their_true_number(
    http: httpx2.AsyncClient, bench: Bench, admin: dict[str, str]
) -> None:
    expired = await bench.invoiced()
    await bench.callback(expired, "EXPIRED")
    rejected = await bench.invoiced()
    await bench.rejected(rejected.order_id)
    paid = await bench.invoiced()
    await bench.callback(paid)

    body = (await http.get("/v1/payments/failed", params={"page_size": 1}, headers=admin)).json()
    assert body["total_failed_payments"] == 2
    [row] = body["payment_list"]
    assert (row["order_id"], row["status"], row["notes"]) == (rejected.order_id, "FAILED", "stock_rejected")
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
    assert (row["amount"], row["user_email"], row["retry_count"]) == (150000, "user3@example.com", 0)

    second = (await http.get("/v1/payments/failed", params={"page": 2, "page_size": 1}, headers=admin)).json()
    assert [row["status"] for row in second["payment_list"]] == ["EXPIRED"]
    behind = (await http.get("/v1/payments/failed", params={"page": 2**63 - 1, "page_size": 100}, headers=admin)).json()
    assert behind == {"total_failed_payments": 2, "payment_list": []}


async def test_an_anomaly_is_resolved_once_and_keeps_its_first_note(
    http: httpx2.AsyncClient, bench: Bench, admin: dict[str, str]
) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, amount=payment.amount - 1)
    found = (await http.get("/v1/payments/anomalies?resolved=false", headers=admin)).json()
    assert (found["total"], found["page"], found["page_size"]) == (1, 1, 20)
    [row] = found["items"]
    assert set(row) == {
        "id",
        "order_id",
        "external_id",
        "kind",
        "expected",
        "received",
        "resolved_at",
        "note",
        "create_time",
    }
    assert (row["kind"], row["expected"], row["received"]) == ("amount_mismatch", "150000", "149999")
    assert (row["order_id"], row["resolved_at"], row["note"]) == (payment.order_id, None, None)

    url = f"/v1/payments/anomalies/{row['id']}/resolve"
    first = await http.post(url, json={"note": " refunded "}, headers=admin)
    assert first.status_code == 200
    assert first.json()["note"] == "refunded"
    assert first.json()["resolved_at"]
    again = await http.post(url, json={"note": "something else"}, headers=admin)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await http.get("/v1/payments/anomalies?resolved=false", headers=admin)).json()["items"] == []
    assert (await http.get("/v1/payments/anomalies?resolved=true", headers=admin)).json()["items"] == [first.json()]


@pytest.mark.parametrize(
    "body", [{}, {"note": ""}, {"note": "  "}, {"note": 5}, {"note": "x" * 1001}, {"note": "a\x00"}]
)
async def test_resolving_needs_a_note(http: httpx2.AsyncClient, admin: dict[str, str], body: dict[str, Any]) -> None:
    answer = await http.post("/v1/payments/anomalies/1/resolve", json=body, headers=admin)
    assert answer.status_code == 400


async def test_an_unknown_row_is_404_and_an_invalid_id_400(
    http: httpx2.AsyncClient, admin: dict[str, str], settings: Settings
) -> None:
    for url in ("anomalies/{}/resolve", "failed-events/{}/retry"):
        path = f"/v1/payments/{url}"
        note = {"note": "n"}
        assert (await http.post(path.format(999_999_999), json=note, headers=admin)).status_code == 404
        assert (await http.post(path.format(0), json=note, headers=admin)).status_code == 400
        assert (await http.post(path.format(1), json=note, headers=bearer(settings, 3))).status_code == 403


async def _parked(bench: Bench) -> OutboxRow:
    """Publish an event and park it, as the relay does after its last try."""
    async with bench.db.transaction() as tx:
        event = Event.of("payment.success", "order-77", '{"order_id": 77, "status": "PAID"}')
        await tx.publish(event)
    async with bench.db.driver() as connection:
        row_id = await connection.fetchval(
            "UPDATE outbox SET attempts = 12, parked_at = now(), next_attempt_at = now() + interval '5 minutes'"
            " WHERE event_id = $1 RETURNING id",
            event.event_id,
        )
        row = OutboxRow(
            row_id, event.event_id, event.topic, event.key, event.payload, {}, datetime.now(UTC), 12, "KafkaError: away"
        )
        await failed_events.add_parked(connection, [row])
    return row


async def test_a_parked_event_is_listed_and_retried_at_once(
    http: httpx2.AsyncClient, bench: Bench, admin: dict[str, str]
) -> None:
    parked = await _parked(bench)
    [row] = (await http.get("/v1/payments/failed-events", headers=admin)).json()["items"]
    assert set(row) == {
        "id",
        "event_id",
        "topic",
        "key",
        "payload",
        "error",
        "attempts",
        "retried_at",
        "create_time",
    }
    assert (row["event_id"], row["topic"], row["key"]) == (str(parked.event_id), "payment.success", "order-77")
    assert (row["payload"], row["error"], row["attempts"]) == (
        {"order_id": 77, "status": "PAID"},
        "KafkaError: away",
        12,
    )
    assert row["retried_at"] is None

    answer = await http.post(f"/v1/payments/failed-events/{row['id']}/retry", headers=admin)
    assert answer.status_code == 200
    assert answer.json()["retried_at"]
    due = "SELECT event_id FROM outbox WHERE published_at IS NULL AND next_attempt_at <= now()"
    assert [found["event_id"] for found in await bench.rows(due)] == [parked.event_id]


async def test_a_parked_event_that_goes_out_by_itself_says_when(bench: Bench) -> None:
    parked = await _parked(bench)
    async with bench.db.driver() as connection:
        await published.note_published(connection, [parked])
    [row] = await bench.rows("SELECT retried_at FROM failed_events WHERE event_id = $1", parked.event_id)
    assert row["retried_at"] is not None
    assert await bench.audits(77) == ["event.published"]


async def test_audit_entries_are_filtered_by_order_and_event_and_paged(
    app: FastAPI, http: httpx2.AsyncClient, bench: Bench, admin: dict[str, str], mongo_uri: str
) -> None:
    log = AuditLog(mongo_uri)
    app.state.audit_log = log
    try:
        payment = await bench.invoiced(order_id=uuid4().int % 2**40)
        await bench.callback(payment)
        await deliver_audit(bench.db, log)
        url = f"/v1/payments/audit-logs?order_id={payment.order_id}"
        found = (await http.get(url, headers=admin)).json()
        assert [row["event"] for row in found["items"]] == ["payment.paid", "invoice.created", "payment.created"]
        assert set(found["items"][0]) == {
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
        hashes = [(row["prev_hash"], row["hash"]) for row in reversed(found["items"])]
        assert [previous for previous, _ in hashes] == ["0" * 64, hashes[0][1], hashes[1][1]]
        assert found["items"][0]["create_time"].endswith("Z")
        page = (await http.get(f"{url}&page=2&page_size=2", headers=admin)).json()
        assert ([row["event"] for row in page["items"]], page["total"]) == (["payment.created"], 3)
        only = (await http.get(f"{url}&event=payment.paid", headers=admin)).json()
        assert (only["total"], only["items"][0]["actor"]) == (1, "xendit")
        assert (await http.get(f"{url}&event=nonsense", headers=admin)).status_code == 400
    finally:
        await log.close()


async def test_without_mongodb_only_the_audit_log_is_503(
    app: FastAPI, http: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    log = AuditLog(f"mongodb://127.0.0.1:{free_port()}")
    app.state.audit_log = log
    try:
        answer = await http.get("/v1/payments/audit-logs", headers=admin)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert "retry-after" in answer.headers
        assert (await http.get("/v1/payments/failed", headers=admin)).status_code == 200
        assert (await http.get("/v1/payments/anomalies", headers=admin)).status_code == 200
    finally:
        await log.close()
