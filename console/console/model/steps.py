"""The steps that an order can wait for, how each goes on, and the section of the runbook about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """The most urgent first: of several the first one is reported."""

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
STEP_OF_CONSUMER = {"productfc": Step.STOCK, "paymentfc": Step.PAYMENT, "orderfc": Step.RESULT}


@dataclass(frozen=True, slots=True)
class Guide:
    """What an operator needs to know of a step: `runbook` is a heading of docs/operations.md, as an anchor.

    `page` is the page of the console where something can be done about it, with its name.
    """

    title: str
    goes_on: str
    runbook: str
    page: tuple[str, str] | None = None


_REFUNDS, _ANOMALIES = ("/money?tab=refunds", "Refunds"), ("/money", "Anomalies")
_LETTERS, _OUTBOX = ("/dead-letters", "Dead letters"), ("/outbox", "Outbox")
GUIDES: Mapping[Step, Guide] = {
    Step.REFUND: Guide(
        "Refund", "A person approves it, or says that it was given back", "anomalies-and-refunds", _REFUNDS
    ),
    Step.DEAD_LETTER: Guide("Dead letter", "A person replays or discards the message", "dead-letters", _LETTERS),
    Step.OUTBOX: Guide("Outbox", "The relay sends it once Kafka answers", "outbox-backlog-or-parked-events", _OUTBOX),
    Step.STOCK: Guide("Stock", "productfc goes on by itself once it runs", "consumer-lag"),
    Step.PAYMENT: Guide("Payment", "paymentfc goes on by itself once it runs", "consumer-lag"),
    Step.RESULT: Guide("Result of the payment", "orderfc goes on by itself once it runs", "consumer-lag"),
    Step.WEBHOOK: Guide("Callback", "paymentfc applies it when its payment is there", "callbacks-that-wait"),
    Step.ANOMALY: Guide("Anomaly", "A person compares with Xendit", "anomalies-and-refunds", _ANOMALIES),
    Step.INVOICE: Guide("Invoice", "paymentfc asks Xendit again", "xendit-down-or-refusing"),
    Step.CLOSING: Guide("Closing of an invoice", "paymentfc goes on once Xendit answers", "xendit-down-or-refusing"),
    Step.EXPIRY: Guide("End of an invoice", "paymentfc asks Xendit again", "xendit-down-or-refusing"),
    Step.UNKNOWN: Guide("Unknown", "fc audit names the rule that is broken", "the-audit-finds-a-violation"),
    Step.CUSTOMER: Guide("Customer", "The customer pays, or the invoice ends", "first-look"),
}
