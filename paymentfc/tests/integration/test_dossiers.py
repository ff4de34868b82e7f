"""All that an administrator reads of an order's payment, and the open payments by what they wait for."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from paymentfc.model.callback import Outcome

from .bench import TRACE, Bench, bearer

ACTIONS = "SELECT order_id, event, actor, metadata::text AS facts FROM audit_outbox WHERE event LIKE 'admin.%'"


@pytest.fixture
def ask(bench: Bench, http: httpx2.AsyncClient) -> Any:
    headers = bearer(bench.settings, 9, "admin")

    async def get(path: str, expected: int = 200, **query: Any) -> Any:
        answer = await http.get(f"/v1/admin/payments{path}", params=query, headers=headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    return get


def kinds(dossier: dict[str, Any]) -> set[str]:
    """Return the parts of a dossier that have something."""
    return {name for name, part in dossier.items() if part}


async def test_a_paid_order_shows_its_payment_its_request_and_its_callback(bench: Bench, ask: Any) -> None:
    payment = await bench.invoiced()
    await bench.invoiced()
    await bench.callback(payment, receipt="r-1")
    await bench.callback(payment, receipt="r-1")
    dossier = await ask(f"/orders/{payment.order_id}")
    assert kinds(dossier) == {"payment", "request", "callbacks", "receipts"}
    shown = dossier["payment"]
    assert (shown["status"], shown["amount"], shown["currency"]) == ("PAID", 150000, "IDR")
    assert (shown["external_id"], shown["traceparent"]) == (payment.external_id, TRACE)
    assert shown["paid_at"].endswith("Z")
    assert (dossier["request"]["status"], dossier["request"]["attempts"]) == ("DONE", 1)
    [callback] = dossier["callbacks"]
    assert (callback["status"], callback["outcome"], callback["deliveries"]) == ("PAID", "paid", 2)
    assert [row["receipt"] for row in dossier["receipts"]] == ["r-1"]


async def test_an_order_that_went_wrong_shows_anomalies_confirmations_and_the_invoice_to_close(
    bench: Bench, ask: Any
) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment, amount=payment.amount - 1)
    await bench.receive(bench.about(payment, invoice_id="another"))
    await bench.receive(bench.about(payment))
    await bench.rejected(payment.order_id)
    dossier = await ask(f"/orders/{payment.order_id}")
    assert kinds(dossier) == {"payment", "request", "callbacks", "confirmations", "anomalies", "closings"}
    assert {row["kind"] for row in dossier["anomalies"]} == {"amount_mismatch", "unknown_invoice"}
    assert (dossier["payment"]["status"], dossier["payment"]["reason"]) == ("FAILED", "stock_rejected")
    assert [row["step"] for row in dossier["closings"]] == ["expire"]
    assert payment.invoice_id in {row["invoice_id"] for row in dossier["confirmations"]}


async def test_what_came_before_the_payment_is_shown_without_one_and_an_unknown_order_is_404(
    bench: Bench, ask: Any
) -> None:
    early, rejected = bench.new_id(), bench.new_id()
    payment = await bench.order()
    about = bench.about(payment, invoice_id="early", external_id=f"order-{early}")
    assert await bench.receive(about) is Outcome.WAITING
    await bench.rejected(rejected)
    dossier = await ask(f"/orders/{early}")
    assert "callbacks" in kinds(dossier) - {"payment"}
    assert dossier["payment"] is None
    assert kinds(await ask(f"/orders/{rejected}")) == {"rejection"}
    await ask(f"/orders/{bench.new_id()}", 404)


async def test_an_order_with_money_that_was_not_owed_shows_its_refund(bench: Bench, ask: Any) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    await bench.rejected(payment.order_id)
    [refund] = (await ask(f"/orders/{payment.order_id}"))["refunds"]
    assert (refund["amount"], refund["status"], refund["cause"]) == (150000, "DUE", "stock_rejected")


async def test_a_payment_is_found_by_its_invoice_and_by_its_external_id(bench: Bench, ask: Any) -> None:
    payment = await bench.invoiced()
    wanted = await ask(f"/orders/{payment.order_id}")
    assert await ask("", invoice_id=payment.invoice_id) == wanted
    assert await ask("", external_id=payment.external_id) == wanted
    for unknown in ({"invoice_id": "none"}, {"external_id": "order-0"}):
        await ask("", 404, **unknown)
    for refused in ({}, {"invoice_id": "a", "external_id": "b"}, {"invoice_id": ""}):
        await ask("", 400, **refused)


async def every_page(ask: Any, step: str, limit: int = 2) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    place: dict[str, str] = {}
    for _ in range(20):
        page = await ask("/waiting", step=step, limit=limit, **place)
        found += page["items"]
        if page["next_after"] is None:
            return found
        place = {"after": page["next_after"]}
    raise AssertionError("the pages do not end")


def orders(rows: Iterable[dict[str, Any]]) -> list[int]:
    return [row["order_id"] for row in rows]


async def test_open_payments_are_listed_by_what_they_wait_for_each_once_and_in_turn(bench: Bench, ask: Any) -> None:
    unpaid = [await bench.invoiced() for _ in range(5)]
    ended = [await bench.invoiced() for _ in range(3)]
    for payment in ended:
        await bench.expire_locally(payment)
    await bench.callback(await bench.invoiced())
    # One of them was looked at, and is looked at again later.
    await bench.execute("UPDATE payments SET sweep_after = now() + interval '1 h' WHERE id = $1", ended[0].id)
    new = [await bench.order() for _ in range(2)]
    failed = [await bench.order() for _ in range(3)]
    await bench.execute(
        "UPDATE payment_requests SET status = 'FAILED', last_error = 'away', next_attempt_at = now() + interval '1 h'"
        " WHERE order_id = ANY($1::bigint[])",
        [payment.order_id for payment in failed],
    )

    without = await every_page(ask, "invoice")
    assert orders(without) == [payment.order_id for payment in [*new, *failed]]
    assert [row["request"] for row in without] == ["PENDING"] * 2 + ["FAILED"] * 3
    assert without[-1]["last_error"] == "away"
    customers = await every_page(ask, "customer")
    assert orders(customers) == [payment.order_id for payment in unpaid]
    assert {row["request"] for row in customers} == {None}
    assert orders(await every_page(ask, "expiry")) == [payment.order_id for payment in [*ended[1:], ended[0]]]


@pytest.mark.parametrize("query", ["", "step=paid", "step=invoice&after=7", "step=invoice&after=1-9999999999999999999"])
async def test_a_query_that_can_not_be_is_400(http: httpx2.AsyncClient, bench: Bench, query: str) -> None:
    answer = await http.get(f"/v1/admin/payments/waiting?{query}", headers=bearer(bench.settings, 9, "admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_an_event_of_the_outbox_that_is_sent_again_is_in_the_audit_log_with_who_and_why(
    bench: Bench, http: httpx2.AsyncClient
) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    await bench.execute("UPDATE outbox SET parked_at = now(), next_attempt_at = now() + interval '1 h'")
    await bench.execute(
        "INSERT INTO failed_events (event_id, topic, key, payload, attempts)"
        " SELECT event_id, topic, key, payload, 12 FROM outbox"
    )
    [event] = await bench.rows("SELECT id, event_id::text AS event_id FROM outbox")
    answer = await http.post(
        f"/v1/admin/outbox/{event['id']}/retry", json={"reason": "ready"}, headers=bearer(bench.settings, 9, "admin")
    )
    assert answer.status_code == 200, answer.text
    [action] = await bench.rows(ACTIONS)
    assert (action["order_id"], action["event"], action["actor"]) == (
        payment.order_id,
        "admin.event_retried",
        "admin:9",
    )
    for fact in (event["event_id"], "payment.success", "ready", "127.0.0.1"):
        assert fact in action["facts"]
    [parked] = await bench.rows("SELECT retried_at FROM failed_events")
    assert parked["retried_at"] is not None


async def test_a_retry_of_an_event_that_has_left_changes_no_failed_event_and_is_on_record_as_such(
    bench: Bench, http: httpx2.AsyncClient
) -> None:
    payment = await bench.invoiced()
    await bench.callback(payment)
    await bench.execute("UPDATE outbox SET published_at = now(), attempts = 12")
    await bench.execute(
        "INSERT INTO failed_events (event_id, topic, key, payload, attempts, retried_at)"
        " SELECT event_id, topic, key, payload, 12, '2026-01-02T03:04:05Z' FROM outbox"
    )
    [event] = await bench.rows("SELECT id FROM outbox")
    admin = bearer(bench.settings, 9, "admin")
    answer = await http.post(f"/v1/admin/outbox/{event['id']}/retry", json={"reason": "again"}, headers=admin)
    assert (answer.status_code, answer.json()["state"]) == (200, "published")
    [failed] = await bench.rows("SELECT retried_at FROM failed_events")
    assert failed["retried_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    [action] = await bench.rows(ACTIONS)
    assert json.loads(action["facts"])["state"] == "published"
