"""The reason why an order waits: the step, the time since when, the cause, and what to do next. Pure functions."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from fc.ops.facts import Facts, Record, order_of
from fc.ops.output import moment
from fc.platform.topics import order_in


class Step(StrEnum):
    """The steps that an order can wait for, the most urgent first: of several the first one is reported."""

    REFUND = "refund"
    DEAD_LETTER = "dead_letter"
    OUTBOX = "outbox"
    STOCK = "stock"
    PAYMENT = "payment"
    RESULT = "result"
    WEBHOOK = "webhook"
    ANOMALY = "anomaly"
    INVOICE = "invoice"
    CLOSING = "closing"
    EXPIRY = "expiry"
    UNKNOWN = "unknown"
    CUSTOMER = "customer"


RANK = {step: rank for rank, step in enumerate(Step)}
REFUNDS = ("paid_after_close", "paid_twice")
WRONG_MONEY = ("amount_mismatch", "currency_mismatch")
STEP_OF_CONSUMER = {"productfc": Step.STOCK, "paymentfc": Step.PAYMENT, "orderfc": Step.RESULT}


@dataclass(frozen=True, slots=True)
class Wait:
    """One order that waits for a step; `order_id` is None for an event or callback that names no order."""

    order_id: int | None
    step: Step
    since: datetime
    because: str
    next: str

    def as_json(self, now: datetime) -> dict[str, Any]:
        age = (now - self.since).total_seconds()
        return asdict(self) | {"step": self.step.value, "since": self.since.isoformat(), "age_s": round(age, 1)}


def waits(facts: Facts, older_than_s: float) -> list[Wait]:
    """Return one wait per order, if older than `older_than_s`: problems first, then unpaid orders, oldest first."""
    limit = facts.now - timedelta(seconds=older_than_s)
    first: dict[int, Wait] = {}
    unnamed = []
    for wait in _all(facts):
        if wait.since > limit:
            continue
        if wait.order_id is None:
            unnamed.append(wait)
        elif wait.order_id not in first or RANK[wait.step] < RANK[first[wait.order_id].step]:
            first[wait.order_id] = wait
    return sorted([*unnamed, *first.values()], key=lambda wait: (wait.step is Step.CUSTOMER, wait.since))


def _all(facts: Facts) -> Iterator[Wait]:
    yield from _letters(facts)
    yield from _events(facts)
    yield from _payment_side(facts)
    for order_id, created in facts.orders.items():
        yield _order(facts, order_id, created)


def _letters(facts: Facts) -> Iterator[Wait]:
    for letter in facts.letters:
        verb = "discard" if letter.refusal() else "replay"
        command = f"fc dlq show {letter.topic} {letter.place}; then fc dlq {verb}"
        because = f"{letter.topic} could not be applied by {letter.consumer or 'its consumer'}: {letter.reason}"
        yield Wait(letter.order_id, Step.DEAD_LETTER, letter.time, because, command)


def _events(facts: Facts) -> Iterator[Wait]:
    for service, row in facts.unsent:
        because = f"{row['topic']} is in the outbox of {service}, {row['attempts']} tries"
        because += f": {row['last_error']}" if row["last_error"] else ""
        backs_off = row["next_attempt_at"] is not None and row["next_attempt_at"] > facts.now
        command = f"fc outbox retry --service {service} --id {row['id']}" if backs_off else f"fc logs {service}"
        yield Wait(order_in(row["key"]), Step.OUTBOX, row["created_at"], because, f"fc status; {command}")
    for row, service in facts.unapplied:
        because = f"{row['topic']} was published and {service} has not applied it"
        step = STEP_OF_CONSUMER[service]
        yield Wait(order_in(row["key"]), step, row["published_at"], because, f"fc status; fc logs {service}")


def _payment_side(facts: Facts) -> Iterator[Wait]:
    for row in facts.callbacks:
        because = f"Xendit reported {row['status']} for invoice {row['invoice_id']}, which belongs to no payment"
        yield Wait(order_of(row), Step.WEBHOOK, row["create_time"], because, "fc outbox ls; fc logs paymentfc")
    for row in facts.confirmations:
        because = f"a callback of invoice {row['invoice_id']} is not confirmed, {row['looks']} looks"
        because += f": {row['last_error']}" if row["last_error"] else ""
        act = f"compare with Xendit; next look {moment(row['due_at'])}; fc logs paymentfc"
        yield Wait(order_of(row), Step.WEBHOOK, row["create_time"], because, act)
    for row in facts.refunds:
        yield _refund(row)
    for row in facts.anomalies:
        # Money for nothing is waited for as its refund.
        if not (row["has_refund"] and _is_refund(row)):
            yield _anomaly(row)
    for row in facts.closings:
        because = (
            f"invoice {row['invoice_id']} of a finished order is not expired at Xendit yet, {row['attempts']} tries"
        )
        because += f": {row['last_error']}" if row["last_error"] else ""
        yield Wait(order_of(row), Step.CLOSING, row["create_time"], because, "fc logs paymentfc; is Xendit up?")


def _refund(row: Record) -> Wait:
    because = f"{row['amount']:f} {row['currency']} are to be given back: {row['cause']}"
    url = f"POST /v1/payments/refunds/{row['id']}"
    if row["status"] == "REQUESTED":
        because += "; Xendit is asked" + (f": {row['last_error']}" if row["last_error"] else "")
        act = f"nothing: looked at again {moment(row['due_at'])}; fc logs paymentfc"
        return Wait(row["order_id"], Step.REFUND, row["requested_at"], because, act)
    if row["status"] == "DUE":
        act = f"{url}/approve sends it; or give it back by hand, then {url}/settle"
    else:
        because += f"; Xendit has not: {row['failure_code']}"
        act = f"give it back by hand, then {url}/settle"
    return Wait(row["order_id"], Step.REFUND, row["create_time"], because, act)


def _is_refund(row: Record) -> bool:
    return row["kind"] in REFUNDS or row["action"] == "close"


def _anomaly(row: Record) -> Wait:
    refund = _is_refund(row)
    because = f"{row['kind']}: expected {row['expected']}, received {row['received']}"
    resolve = f"POST /v1/payments/anomalies/{row['id']}/resolve"
    act = f"refund it at Xendit, then {resolve}" if refund else f"compare with Xendit, then {resolve}"
    if row["kind"] in WRONG_MONEY and row["holds"]:
        because += f"; the order is closed at {moment(row['expires_at'])}"
        act = f'to close it now: {resolve} with {{"action": "close"}}; then approve the refund that this makes'
    order_id = row["order_id"] or order_of(row)
    return Wait(order_id, Step.REFUND if refund else Step.ANOMALY, row["create_time"], because, act)


def _order(facts: Facts, order_id: int, created: datetime) -> Wait:
    payment = facts.payments.get(order_id)
    if payment is None:
        because = "paymentfc has no payment for order.created"
        return Wait(order_id, Step.PAYMENT, created, because, "fc status; fc logs paymentfc; fc audit")
    if payment["status"] != "PENDING":
        because = f"the payment is {payment['status']} and orderfc has not applied it"
        return Wait(order_id, Step.UNKNOWN, payment["update_time"], because, "fc audit")
    return _unpaid(facts, order_id, payment)


def _unpaid(facts: Facts, order_id: int, payment: Record) -> Wait:
    if payment["invoice_url"] is None:
        because = f"no invoice yet, {payment['attempts']} attempts, {payment['tries']} refused"
        because += f": {payment['last_error']}" if payment["last_error"] else ""
        act = f"is Xendit up and are its keys right? next try {moment(payment['next_attempt_at'])}; fc logs paymentfc"
        return Wait(order_id, Step.INVOICE, payment["create_time"], because, act)
    if payment["expires_at"] is not None and payment["expires_at"] <= facts.now:
        because = f"the invoice ended at {moment(payment['expires_at'])} and Xendit has not reported the result"
        return Wait(order_id, Step.EXPIRY, payment["expires_at"], because, "fc logs paymentfc; is Xendit up?")
    because = f"the customer has not paid; the invoice is open until {moment(payment['expires_at'])}"
    since = payment["invoice_time"] or payment["create_time"]
    return Wait(order_id, Step.CUSTOMER, since, because, f"nothing: payable at {payment['invoice_url']}")
