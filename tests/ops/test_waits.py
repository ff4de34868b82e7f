"""Which step an order waits for when several are open, without any server."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from console.model.letters import Letter
from fc.ops.facts import Facts
from fc.ops.waits import Step, Wait, waits

NOW = datetime(2026, 1, 2, tzinfo=UTC)
AGO = NOW - timedelta(minutes=5)

ANOMALY = {
    "id": 4,
    "order_id": None,
    "kind": "amount_mismatch",
    "expected": "2 IDR",
    "received": "1 IDR",
    "action": None,
    "holds": None,
    "expires_at": None,
    "has_refund": False,
}
REFUND = {
    "id": 6,
    "order_id": 7,
    "cause": "paid_after_close",
    "amount": Decimal("150000.00"),
    "currency": "IDR",
    "status": "DUE",
    "failure_code": None,
    "last_error": None,
    "due_at": NOW,
    "requested_at": None,
    "create_time": AGO,
}


def payment(**given: Any) -> dict[str, Any]:
    """Make an open payment with an invoice."""
    return {
        "status": "PENDING",
        "invoice_url": "http://x/1",
        "invoice_time": AGO,
        "expires_at": NOW + timedelta(days=1),
        "create_time": AGO,
        "update_time": AGO,
        "request": "DONE",
        "attempts": 1,
        "tries": 0,
        "next_attempt_at": AGO,
        "last_error": None,
    } | given


def event(**given: Any) -> dict[str, Any]:
    return {
        "id": 3,
        "event_id": None,
        "topic": "stock.updated",
        "key": "order-7",
        "created_at": AGO,
        "published_at": None,
        "parked_at": None,
        "next_attempt_at": None,
        "attempts": 0,
        "last_error": None,
    } | given


def letter(reason: str) -> Letter:
    headers = (("x-reason", reason.encode()), ("x-handler", b"productfc.stock.updated"))
    return Letter("stock.updated", 1, 2, AGO, b"order-7", b"{}", headers)


def only(facts: Facts, older_than_s: float = 30) -> Wait:
    [found] = waits(facts, older_than_s)
    return found


def open_order(**given: Any) -> Facts:
    """Return the facts about order 7, which is open and has an invoice, with changes."""
    facts = Facts(NOW, {7: AGO}, payments={7: payment()})
    for name, value in given.items():
        setattr(facts, name, value)
    return facts


def test_an_event_in_the_outbox_is_to_blame_before_the_customer() -> None:
    found = only(open_order(unsent=[("orderfc", event(attempts=3, last_error="KafkaConnectionError: away"))]))
    assert (found.order_id, found.step, found.since) == (7, Step.OUTBOX, AGO)
    assert "3 tries: KafkaConnectionError: away" in found.because


def test_a_parked_event_is_retried_by_its_id_and_a_new_one_is_looked_for_in_the_log() -> None:
    due = NOW + timedelta(minutes=1)
    assert (
        "fc outbox retry --service orderfc --id 3"
        in only(open_order(unsent=[("orderfc", event(next_attempt_at=due, parked_at=AGO))])).next
    )
    assert "fc logs orderfc" in only(open_order(unsent=[("orderfc", event())])).next


def test_a_dead_letter_is_to_blame_before_its_consumer() -> None:
    facts = open_order(letters=[letter("not_yet")], unapplied=[(event(published_at=AGO), "productfc")])
    found = only(facts)
    assert found.step is Step.DEAD_LETTER
    assert found.next == "fc dlq show stock.updated 1:2; then fc dlq replay"


def test_a_letter_that_can_never_be_applied_is_to_be_discarded() -> None:
    assert only(open_order(letters=[letter("invalid_json")])).next.endswith("fc dlq discard")


def test_an_order_without_payment_names_it() -> None:
    assert only(open_order(payments={})).step is Step.PAYMENT


def test_a_payment_that_ended_and_an_order_that_did_not_are_for_the_auditor() -> None:
    found = only(open_order(payments={7: payment(status="PAID")}))
    assert (found.step, found.next) == (Step.UNKNOWN, "fc audit")


def test_an_invoice_past_its_end_waits_for_xendit() -> None:
    assert only(open_order(payments={7: payment(expires_at=AGO)})).step is Step.EXPIRY


def test_an_invoice_that_is_not_made_tells_xendits_answer() -> None:
    found = only(open_order(payments={7: payment(invoice_url=None, tries=2, last_error="403: FORBIDDEN")}))
    assert found.step is Step.INVOICE
    assert "2 refused: 403: FORBIDDEN" in found.because


def test_a_webhook_an_anomaly_and_a_closing_are_told_for_orders_that_are_not_open() -> None:
    rows = {"external_id": "order-8", "invoice_id": "i", "create_time": AGO}
    anomaly = ANOMALY | {"kind": "unknown_status"}
    closing = {"attempts": 2, "last_error": "503", "due_at": NOW}
    assert only(Facts(NOW, {}, callbacks=[rows | {"status": "PAID"}])).step is Step.WEBHOOK
    found = only(Facts(NOW, {}, anomalies=[rows | anomaly]))
    assert (found.order_id, found.step) == (8, Step.ANOMALY)
    assert "POST /v1/payments/anomalies/4/resolve" in found.next
    assert only(Facts(NOW, {}, closings=[rows | closing])).step is Step.CLOSING


def test_a_callback_that_is_not_confirmed_waits_with_what_xendit_says() -> None:
    row = {"external_id": "order-8", "invoice_id": "i", "create_time": AGO, "looks": 3, "due_at": NOW}
    found = only(Facts(NOW, {}, confirmations=[row | {"last_error": "Xendit says PENDING"}]))
    assert (found.order_id, found.step) == (8, Step.WEBHOOK)
    assert "3 looks: Xendit says PENDING" in found.because


def test_a_wrong_amount_is_the_reason_why_its_order_waits_also_when_the_anomaly_is_resolved() -> None:
    row = {"external_id": "order-7", "invoice_id": "i", "create_time": AGO}
    held = ANOMALY | {"order_id": 7, "holds": True, "expires_at": NOW}
    found = only(open_order(payments={7: payment()}, anomalies=[row | held]))
    assert (found.order_id, found.step) == (7, Step.ANOMALY)
    assert found.because.startswith("amount_mismatch: expected 2 IDR, received 1 IDR; the order is closed at ")
    assert '{"action": "close"}' in found.next


@pytest.mark.parametrize("change", [{"action": "close"}, {"kind": "paid_twice"}, {"kind": "paid_after_close"}])
def test_money_that_serves_no_order_waits_for_its_refund(change: dict[str, str]) -> None:
    row = {"external_id": "order-7", "invoice_id": "i", "create_time": AGO}
    found = only(Facts(NOW, {}, anomalies=[row | ANOMALY | change]))
    assert (found.step, found.next.startswith("refund it at Xendit")) == (Step.REFUND, True)


def test_problems_are_told_before_unpaid_orders_and_the_oldest_first() -> None:
    old = AGO - timedelta(hours=1)
    facts = Facts(NOW, {7: AGO, 8: old, 9: AGO}, payments={7: payment(), 8: payment(invoice_time=old)})
    assert [wait.order_id for wait in waits(facts, 30)] == [9, 8, 7]


def test_what_waits_for_less_is_left_out() -> None:
    assert waits(open_order(), 301) == []


def test_money_for_nothing_is_waited_for_as_its_refund_and_not_as_its_anomaly_too() -> None:
    anomaly = ANOMALY | {"order_id": 7, "kind": "paid_after_close", "has_refund": True, "create_time": AGO}
    found = only(open_order(refunds=[REFUND], anomalies=[anomaly]))
    assert (found.order_id, found.step, found.since) == (7, Step.REFUND, AGO)
    assert found.because == "150000.00 IDR are to be given back: paid_after_close"
    assert "POST /v1/payments/refunds/6/approve sends it" in found.next
    assert waits(open_order(anomalies=[anomaly]), 30)[0].step is Step.CUSTOMER


@pytest.mark.parametrize(
    ("given", "because", "act"),
    [
        ({"status": "REQUESTED", "requested_at": AGO}, "; Xendit is asked", "nothing: looked at again"),
        ({"status": "REQUESTED", "requested_at": AGO, "last_error": "down"}, "is asked: down", "nothing"),
        ({"status": "FAILED", "failure_code": "X"}, "; Xendit has not: X", "refunds/6/settle"),
        ({"status": "MANUAL", "failure_code": "REFUND_NOT_SUPPORTED"}, "REFUND_NOT_SUPPORTED", "refunds/6/settle"),
    ],
)
def test_a_refund_says_whom_it_waits_for(given: dict[str, Any], because: str, act: str) -> None:
    found = only(open_order(refunds=[REFUND | given]))
    assert (found.step, because in found.because, act in found.next) == (Step.REFUND, True, True)
