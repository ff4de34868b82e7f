"""Planted faults of refunds: forgotten, too much, twice, or never."""

from fc.audit.refund_model import GivenBack

from .pieces import TOTAL, Sample, anomaly_of, refund_of
from .spoil import Plant, Shape, Spoil, sql


def refunds(statement: str) -> Spoil:
    return sql("paymentfc", f"UPDATE refunds SET {statement} WHERE order_id = $1")


def no_refund(made: Sample) -> None:
    """Forget that money is to be given back."""
    made.of("paymentfc", "refunds").clear()
    made.documents[:] = [each for each in made.documents if not each["event"].startswith("refund.")]


def two_payments(made: Sample) -> None:
    """Let the invoice be paid twice, with the refund of nothing."""
    further = anomaly_of(made, "paid_twice") | {"received": "va_2 150000", "amount": "150000 va_2"}
    made.add("paymentfc", "payment_anomalies", **further)
    made.audit("payment.anomaly", 3)


def two_refunds(made: Sample) -> None:
    """Give back a further payment that nobody has heard of."""
    made.add("paymentfc", "refunds", **refund_of(made, "receipt:va_2", "paid_twice"))
    for step in ("refund.due", "refund.settled"):
        made.audit(step, 4)


def wrong_money(made: Sample) -> None:
    """Have money of a wrong amount come that nobody has looked at."""
    made.add(
        "paymentfc", "payment_anomalies", **anomaly_of(made, "amount_mismatch") | {"paid": True, "resolved_at": None}
    )
    made.audit("payment.anomaly", 3)


def wrong_money_given_back(made: Sample) -> None:
    """Give back money of a wrong amount."""
    made.add("paymentfc", "payment_anomalies", **anomaly_of(made, "amount_mismatch") | {"paid": True})
    made.add("paymentfc", "refunds", **refund_of(made, "amount:150000 IDR", "amount_mismatch"))
    made.audit("payment.anomaly", 3)
    for step in ("refund.due", "refund.settled"):
        made.audit(step, 4)


def refund_due(made: Sample) -> None:
    """Let a refund wait for a person."""
    made.of("paymentfc", "refunds")[0].update(status="DUE", settled_at=None)
    made.documents[:] = [each for each in made.documents if each["event"] != "refund.settled"]


def given_back(*found: str) -> Shape:
    """Have the refund succeed here, and Xendit have refunds of its name in these statuses."""

    def shape(made: Sample) -> None:
        row = made.of("paymentfc", "refunds")[0]
        row.update(
            status="SUCCEEDED", settled_at=None, requested_at=row["create_time"], succeeded_at=row["create_time"]
        )
        made.documents[:] = [each for each in made.documents if each["event"] != "refund.settled"]
        for step in ("refund.requested", "refund.succeeded"):
            made.audit(step, 4)
        name = f"refund-{row['id']}"
        made.given_back += [GivenBack(f"rfd-{at}", name, TOTAL, "IDR", status) for at, status in enumerate(found)]

    return shape


def given_back_by_hand_too(made: Sample) -> None:
    made.given_back.append(GivenBack("rfd-1", f"refund-{made.order_id}", TOTAL, "IDR", "SUCCEEDED"))


def refund_forgotten(made: Sample) -> None:
    """Let a refund wait for Xendit, and nobody ask."""
    row = made.of("paymentfc", "refunds")[0]
    row.update(status="REQUESTED", settled_at=None, requested_at=row["create_time"], due_at=row["create_time"])
    for document in made.documents:
        if document["event"] == "refund.settled":
            document["event"] = "refund.requested"


REFUNDS = {
    "late money without a refund": Plant(("refund_missing",), "expired, then paid", no_refund),
    "money of a rejected order without a refund": Plant(("refund_missing",), "paid, then rejected", no_refund),
    "a further payment without a refund": Plant(("refund_missing",), "paid", two_payments),
    "a wrong amount for a cancelled order without a refund": Plant(
        ("refund_missing", "anomaly_open"), "cancelled", wrong_money
    ),
    "a part of the money given back": Plant(
        ("refund_missing",), "expired, then paid", None, refunds("amount = amount - 1")
    ),
    "more given back than came in": Plant(
        ("refund_excess",), "expired, then paid", None, refunds("amount = amount + 1")
    ),
    "a further payment given back that did not come": Plant(("refund_excess",), "paid", two_refunds),
    "another amount given back than came": Plant(
        ("refund_excess",), "paid", wrong_money_given_back, refunds("amount = amount + 1")
    ),
    "a refund with a step that it did not take": Plant(
        ("refund_columns", "audit_steps"), "expired, then paid", None, refunds("succeeded_at = now()")
    ),
    "a refund that Xendit has twice": Plant(
        ("refund_twice",), "expired, then paid", given_back("SUCCEEDED", "SUCCEEDED")
    ),
    "a refund that Xendit does not have": Plant(("refund_twice",), "expired, then paid", given_back()),
    "a refund that failed at Xendit": Plant(("refund_twice",), "expired, then paid", given_back("FAILED")),
    "given back by hand and by Xendit": Plant(("refund_twice",), "expired, then paid", given_back_by_hand_too),
    "a refund that nobody looks at": Plant(("refund_overdue",), "expired, then paid", refund_forgotten),
    "a refund that waits for a person": Plant(("refund_open",), "expired, then paid", refund_due),
}
