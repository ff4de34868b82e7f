"""What orders wait for at paymentfc, as its rows say it: callbacks, refunds, anomalies, invoices, customers."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from console.model.keys import order_in
from console.model.steps import Step
from console.model.unfinished import REFUNDED, WRONG_MONEY, Row, Unfinished
from console.model.wait import Wait

# Of what a server has said.
_MAX_ERROR = 200


def payment_side(unfinished: Unfinished) -> Iterator[Wait]:
    for row in unfinished.callbacks:
        cause = f"Xendit reported {row['status']} for an invoice that belongs to no payment"
        act = "fc outbox ls; fc logs paymentfc"
        yield Wait(_order_of(row), Step.WEBHOOK, row["create_time"], cause, f"invoice {row['invoice_id']}", act)
    for row in unfinished.confirmations:
        cause = f"a callback is not confirmed{answer(row['last_error'])}"
        detail = f"invoice {row['invoice_id']}, {row['looks']} looks"
        act = "compare with Xendit; fc logs paymentfc"
        yield Wait(_order_of(row), Step.WEBHOOK, row["create_time"], cause, detail, act, row["due_at"])
    for row in unfinished.refunds:
        yield _refund(row)
    for row in unfinished.anomalies:
        # Money for nothing is waited for as its refund.
        if not (row["has_refund"] and _is_refund(row)):
            yield _anomaly(row)
    for row in unfinished.closings:
        cause = f"the invoice of a finished order is not expired at Xendit yet{answer(row['last_error'])}"
        detail = f"invoice {row['invoice_id']}, {row['attempts']} tries"
        act = "fc logs paymentfc; is Xendit up?"
        yield Wait(_order_of(row), Step.CLOSING, row["create_time"], cause, detail, act, row["due_at"])


def _refund(row: Row) -> Wait:
    amount = Decimal(str(row["amount"]))
    detail = f"refund {row['id']} of {amount:.0f} {row['currency']}"
    if amount != amount.to_integral_value():
        detail = f"refund {row['id']} of {amount:f} {row['currency']}"
    url = f"POST /v1/payments/refunds/{row['id']}"
    if row["status"] == "REQUESTED":
        cause = f"Xendit is asked to give money back ({row['cause']}){answer(row['last_error'])}"
        act = "nothing, it is looked at again; fc logs paymentfc"
        since = row["requested_at"] or row["create_time"]
        return Wait(row["order_id"], Step.REFUND, since, cause, detail, act, row["due_at"])
    if row["status"] == "DUE":
        cause = f"money is to be given back ({row['cause']})"
        act = f"{url}/approve sends it; or give it back by hand, then {url}/settle"
    else:
        cause = f"money is to be given back ({row['cause']}), and Xendit has not ({row['failure_code']})"
        act = f"give it back by hand, then {url}/settle"
    return Wait(row["order_id"], Step.REFUND, row["create_time"], cause, detail, act)


def _is_refund(row: Row) -> bool:
    return row["kind"] in REFUNDED or row["action"] == "close"


def _anomaly(row: Row) -> Wait:
    refund = _is_refund(row)
    detail = f"anomaly {row['id']}, expected {row['expected']}, received {row['received']}"
    resolve = f"POST /v1/payments/anomalies/{row['id']}/resolve"
    act = f"refund it at Xendit, then {resolve}" if refund else f"compare with Xendit, then {resolve}"
    ends = None
    if row["kind"] in WRONG_MONEY and row["holds"]:
        detail += f"; the order is closed at {_clock(row['expires_at'])}"
        act = f'to close it now: {resolve} with {{"action": "close"}}; then approve the refund that this makes'
        ends = row["expires_at"]
    order_id = row["order_id"] or _order_of(row)
    step = Step.REFUND if refund else Step.ANOMALY
    return Wait(order_id, step, row["create_time"], str(row["kind"]), detail, act, ends)


def unpaid(unfinished: Unfinished, order_id: int, payment: Row) -> Wait:
    ends = payment["expires_at"]
    if payment["invoice_url"] is None:
        cause = f"no invoice yet{answer(payment['last_error'])}"
        detail = f"{payment['attempts'] or 0} attempts, {payment['tries'] or 0} refused"
        act = "is Xendit up and are its keys right? fc logs paymentfc"
        return Wait(order_id, Step.INVOICE, payment["create_time"], cause, detail, act, payment["next_attempt_at"])
    if ends is not None and ends <= unfinished.now:
        cause = "the invoice has ended and Xendit has not reported the result"
        act = "fc logs paymentfc; is Xendit up?"
        return Wait(order_id, Step.EXPIRY, ends, cause, f"it ended at {_clock(ends)}", act, payment["sweep_after"])
    since = payment["invoice_time"] or payment["create_time"]
    act = f"nothing: payable at {payment['invoice_url']}"
    detail = f"the invoice is open until {_clock(ends)}"
    return Wait(order_id, Step.CUSTOMER, since, "the customer has not paid", detail, act, ends)


def _order_of(row: Row) -> int | None:
    return order_in(row["external_id"])


def answer(error: str | None) -> str:
    return f" ({error[:_MAX_ERROR]})" if error else ""


def _clock(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else "-"
