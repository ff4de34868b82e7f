"""The rows of a timeline that paymentfc knows of: the payment, its invoice, what Xendit said, and what is open."""

from collections.abc import Iterable

from console.model.facts import Json
from console.model.row import Row, moment


def of_payment(dossier: Json) -> Iterable[Row]:
    payment, request = dossier["payment"], dossier["request"]
    if payment is not None:
        yield Row(
            ("payment",),
            "paymentfc",
            "payment registered",
            moment(payment["create_time"]),
            f"{payment['amount']} {payment['currency']}",
            causes=frozenset({("event", "order.created")}),
        )
        yield from _of_invoice(payment, request)
        yield from _settled(payment, dossier["callbacks"])
    yield from _reported(dossier)


def _reported(dossier: Json) -> Iterable[Row]:
    """Yield what Xendit said, and what is open at Xendit or for an administrator."""
    for callback in dossier["callbacks"]:
        times = callback["deliveries"]
        detail = f"{callback['outcome']}, came {'once' if times == 1 else f'{times} times'}"
        yield Row(
            ("callback", str(callback["id"])),
            "xendit",
            f"callback {callback['status']}",
            moment(callback["create_time"]),
            detail,
            callback["outcome"] in ("waiting", "confirming"),
            causes=frozenset({("invoice",)}),
        )
    for anomaly in dossier["anomalies"]:
        open_ = anomaly["resolved_at"] is None
        detail = f"expected {anomaly['expected']}, received {anomaly['received']}"
        detail += "" if open_ else f"; resolved: {anomaly['note']}"
        yield Row(
            ("anomaly", str(anomaly["id"])),
            "paymentfc",
            f"anomaly {anomaly['kind']}",
            moment(anomaly["create_time"]),
            detail,
            open_,
            causes=frozenset({("payment",)}),
        )
    for refund in dossier.get("refunds", ()):
        yield from _of_refund(refund)
    for closing in dossier["closings"]:
        detail = closing["step"] + (f"; {closing['last_error']}" if closing["last_error"] else "")
        yield Row(
            ("closing", closing["invoice_id"]),
            "xendit",
            "invoice to be expired",
            moment(closing["create_time"]),
            detail,
            closing["step"] == "expire",
            causes=frozenset({("payment",)}),
        )


def _of_refund(refund: Json) -> Iterable[Row]:
    """Yield when money was found to be given back, when Xendit was asked, and how that ended."""
    number, money = str(refund["id"]), f"{refund['amount']} {refund['currency']}"
    ended = refund["status"] in ("SUCCEEDED", "SETTLED")
    asked_at = refund.get("requested_at")
    detail = f"{money}; {refund['cause']}" + ("" if ended or asked_at else "; waits for a person")
    due = Row(
        ("refund", number, "due"),
        "paymentfc",
        "refund due",
        moment(refund["create_time"]),
        detail,
        refund["status"] in ("DUE", "MANUAL"),
        causes=frozenset({("settled",), ("anomaly",)}),
    )
    yield due
    if asked_at is not None:
        failure = f"; {refund['failure_code']}" if refund["failure_code"] else ""
        yield Row(
            ("refund", number, "asked"),
            "xendit",
            "refund asked for",
            moment(asked_at),
            f"{money}, attempt {refund['attempts']}{failure}",
            refund["status"] == "REQUESTED",
            causes=frozenset({due.key}),
        )
    if ended or refund["status"] == "FAILED":
        yield Row(
            ("refund", number, "ended"),
            "paymentfc",
            f"refund {refund['status'].lower()}",
            moment(refund["update_time"]),
            refund["note"] or money,
            not ended,
            causes=frozenset({due.key, ("refund", number, "asked")}),
        )


def _of_invoice(payment: Json, request: Json | None) -> Iterable[Row]:
    if payment["invoice_time"] is not None:
        yield Row(
            ("invoice",),
            "xendit",
            "invoice made",
            moment(payment["invoice_time"]),
            payment["invoice_id"],
            causes=frozenset({("payment",)}),
        )
    elif request is not None and payment["status"] == "PENDING":
        detail = f"{request['attempts']} attempts, {request['tries']} refused"
        detail += f": {request['last_error']}" if request["last_error"] else ""
        yield Row(
            ("request",),
            "xendit",
            "no invoice yet",
            None,
            f"{detail}; next {request['next_attempt_at']}",
            True,
            causes=frozenset({("payment",)}),
        )


# The outcome of the callback that has settled a payment.
_OUTCOMES = {"PAID": "paid", "EXPIRED": "expired", "FAILED": "", "late": "paid_after_close"}


def _settled(payment: Json, callbacks: Iterable[Json]) -> Iterable[Row]:
    status, late_at = payment["status"], payment["late_paid_at"]
    by_outcome: dict[str, set[tuple[str, ...]]] = {}
    for callback in callbacks:
        by_outcome.setdefault(callback["outcome"], set()).add(("callback", str(callback["id"])))

    def causes(of: str, *others: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
        return frozenset({("payment",), *by_outcome.get(_OUTCOMES[of], ()), *others})

    if status == "PAID":
        at = moment(payment["paid_at"])
        yield Row(("settled", "PAID"), "paymentfc", "payment PAID", at, causes=causes("PAID"))
    elif status != "PENDING":
        news = {"stock_rejected": ("event", "stock.rejected"), "order_cancelled": ("event", "order.cancelled")}
        others = [news[payment["reason"]]] if payment["reason"] in news else []
        # Money that came later has overwritten the time.
        at_ = moment(payment["update_time"]) if late_at is None else None
        title, reason = f"payment {status}", f"reason: {payment['reason']}"
        yield Row(("settled", status), "paymentfc", title, at_, reason, causes=causes(status, *others))
    if late_at is not None:
        late = causes("late", ("settled", status))
        yield Row(("settled", "late"), "paymentfc", "money after the end", moment(late_at), "refund due", causes=late)
