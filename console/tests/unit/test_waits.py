"""Which step an order waits for when several are open, without any server."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from console.model.steps import Step
from console.model.unfinished import Unfinished
from console.model.wait import Wait, groups
from console.model.waits import waits

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
        "sweep_after": None,
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


@dataclass
class Letter:
    """A dead letter of order 7."""

    reason: str
    topic: str = "stock.updated"
    place: str = "1:2"
    time: datetime = AGO
    order_id: int | None = 7
    consumer: str = "productfc"

    def refusal(self) -> str | None:
        return None if self.reason == "not_yet" else "permanent"


def only(facts: Unfinished, older_than_s: float = 30) -> Wait:
    [found] = waits(facts, older_than_s)
    return found


def open_order(**given: Any) -> Unfinished:
    """Return the facts about order 7, which is open and has an invoice, with changes."""
    facts = Unfinished(NOW, {7: AGO}, {7: payment()})
    for name, value in given.items():
        setattr(facts, name, value)
    return facts


def test_an_event_in_the_outbox_is_to_blame_before_the_customer() -> None:
    found = only(open_order(unsent=[("orderfc", event(attempts=3, last_error="KafkaConnectionError: away"))]))
    assert (found.order_id, found.step, found.since) == (7, Step.OUTBOX, AGO)
    assert found.because == "stock.updated is in the outbox of orderfc (KafkaConnectionError: away): 3 tries"


def test_a_parked_event_is_retried_by_its_id_and_a_new_one_is_looked_for_in_the_log() -> None:
    due = NOW + timedelta(minutes=1)
    assert (
        "fc outbox retry --service orderfc --id 3"
        in only(open_order(unsent=[("orderfc", event(next_attempt_at=due, parked_at=AGO))])).next
    )
    assert "fc logs orderfc" in only(open_order(unsent=[("orderfc", event())])).next


def test_a_dead_letter_is_to_blame_before_its_consumer() -> None:
    facts = open_order(letters=[Letter("not_yet")], unapplied=[(event(published_at=AGO), "productfc")])
    found = only(facts)
    assert found.step is Step.DEAD_LETTER
    assert found.next == "fc dlq show stock.updated 1:2; then fc dlq replay"


def test_a_letter_that_can_never_be_applied_is_to_be_discarded() -> None:
    assert only(open_order(letters=[Letter("invalid_json")])).next.endswith("fc dlq discard")


def test_an_order_without_payment_names_it() -> None:
    assert only(open_order(payments={7: None})).step is Step.PAYMENT


def test_a_payment_that_ended_and_an_order_that_did_not_are_for_the_auditor() -> None:
    found = only(open_order(payments={7: payment(status="PAID")}))
    assert (found.step, found.next) == (Step.UNKNOWN, "fc audit")


def test_an_invoice_past_its_end_waits_for_xendit() -> None:
    assert only(open_order(payments={7: payment(expires_at=AGO)})).step is Step.EXPIRY


def test_an_invoice_that_is_not_made_tells_xendits_answer() -> None:
    found = only(open_order(payments={7: payment(invoice_url=None, tries=2, last_error="403: FORBIDDEN")}))
    assert found.step is Step.INVOICE
    assert found.because == "no invoice yet (403: FORBIDDEN): 1 attempts, 2 refused"
    assert found.next_try == AGO


def test_a_webhook_an_anomaly_and_a_closing_are_told_for_orders_that_are_not_open() -> None:
    rows = {"external_id": "order-8", "invoice_id": "i", "create_time": AGO}
    anomaly = ANOMALY | {"kind": "unknown_status"}
    closing = {"attempts": 2, "last_error": "503", "due_at": NOW}
    assert only(Unfinished(NOW, {}, callbacks=[rows | {"status": "PAID"}])).step is Step.WEBHOOK
    found = only(Unfinished(NOW, {}, anomalies=[rows | anomaly]))
    assert (found.order_id, found.step) == (8, Step.ANOMALY)
    assert "POST /v1/payments/anomalies/4/resolve" in found.next
    assert only(Unfinished(NOW, {}, closings=[rows | closing])).step is Step.CLOSING


def test_a_callback_that_is_not_confirmed_waits_with_what_xendit_says() -> None:
    row = {"external_id": "order-8", "invoice_id": "i", "create_time": AGO, "looks": 3, "due_at": NOW}
    found = only(Unfinished(NOW, {}, confirmations=[row | {"last_error": "Xendit says PENDING"}]))
    assert (found.order_id, found.step) == (8, Step.WEBHOOK)
    assert found.because == "a callback is not confirmed (Xendit says PENDING): invoice i, 3 looks"
    assert found.next_try == NOW


def test_a_wrong_amount_is_the_reason_why_its_order_waits_also_when_the_anomaly_is_resolved() -> None:
    row = {"external_id": "order-7", "invoice_id": "i", "create_time": AGO}
    held = ANOMALY | {"order_id": 7, "holds": True, "expires_at": NOW}
    found = only(open_order(payments={7: payment()}, anomalies=[row | held]))
    assert (found.order_id, found.step) == (7, Step.ANOMALY)
    assert found.because.startswith("amount_mismatch: anomaly 4, expected 2 IDR, received 1 IDR; the order is closed")
    assert '{"action": "close"}' in found.next


@pytest.mark.parametrize("change", [{"action": "close"}, {"kind": "paid_twice"}, {"kind": "paid_after_close"}])
def test_money_that_serves_no_order_waits_for_its_refund(change: dict[str, str]) -> None:
    row = {"external_id": "order-7", "invoice_id": "i", "create_time": AGO}
    found = only(Unfinished(NOW, {}, anomalies=[row | ANOMALY | change]))
    assert (found.step, found.next.startswith("refund it at Xendit")) == (Step.REFUND, True)


def test_problems_are_told_before_unpaid_orders_and_the_oldest_first() -> None:
    old = AGO - timedelta(hours=1)
    orders: dict[int, Any] = {7: payment(), 8: payment(invoice_time=old), 9: None}
    facts = Unfinished(NOW, {7: AGO, 8: old, 9: AGO}, orders)
    assert [wait.order_id for wait in waits(facts, 30)] == [9, 8, 7]


def test_what_waits_for_less_is_left_out() -> None:
    assert waits(open_order(), 301) == []


def test_money_that_was_not_owed_waits_as_its_refund_and_not_as_its_anomaly_too() -> None:
    anomaly = ANOMALY | {"order_id": 7, "kind": "paid_after_close", "has_refund": True, "create_time": AGO}
    found = only(open_order(refunds=[REFUND], anomalies=[anomaly]))
    assert (found.order_id, found.step, found.since) == (7, Step.REFUND, AGO)
    assert found.because == "money is to be given back (paid_after_close): refund 6 of 150000 IDR"
    assert "POST /v1/payments/refunds/6/approve sends it" in found.next
    assert waits(open_order(anomalies=[anomaly]), 30)[0].step is Step.CUSTOMER


@pytest.mark.parametrize(
    ("given", "because", "act"),
    [
        ({"status": "REQUESTED", "requested_at": AGO}, "Xendit is asked to give", "nothing, it is looked at again"),
        ({"status": "REQUESTED", "requested_at": AGO, "last_error": "down"}, "(paid_after_close) (down)", "nothing"),
        ({"status": "FAILED", "failure_code": "X"}, "and Xendit has not (X)", "refunds/6/settle"),
        ({"status": "MANUAL", "failure_code": "REFUND_NOT_SUPPORTED"}, "REFUND_NOT_SUPPORTED", "refunds/6/settle"),
    ],
)
def test_a_refund_says_whom_it_waits_for(given: dict[str, Any], because: str, act: str) -> None:
    found = only(open_order(refunds=[REFUND | given]))
    assert (found.step, because in found.because, act in found.next) == (Step.REFUND, True, True)


def test_an_order_is_judged_by_its_payment_if_only_that_could_be_read() -> None:
    assert waits(open_order(payments={}), 0) == []
    assert only(Unfinished(NOW, payments={7: payment()})).step is Step.CUSTOMER


def test_orders_that_wait_for_the_same_reason_are_one_group_with_the_oldest_first() -> None:
    unsent = [
        ("orderfc", event(key=f"order-{number}", created_at=NOW - timedelta(seconds=40 + number), id=number))
        for number in range(1, 6)
    ]
    found = groups(waits(Unfinished(NOW, {9: AGO}, {9: payment()}, unsent=unsent), 30), first=2)
    assert [(group.step, group.count, len(group.waits)) for group in found] == [
        (Step.OUTBOX, 5, 2),
        (Step.CUSTOMER, 1, 1),
    ]
    assert [wait.order_id for wait in found[0].waits] == [5, 4]
    assert found[0].cause == "stock.updated is in the outbox of orderfc"


def test_what_a_server_has_said_is_cut() -> None:
    found = only(open_order(payments={7: payment(invoice_url=None, last_error="x" * 5000)}))
    assert len(found.because) < 300
