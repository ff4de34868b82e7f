"""The event contract as a table: the producer and the model of each topic, and the fields that each reader needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

import orderfc.events
import paymentfc.events
import productfc.events
from contracts import go

# orderfc's handlers accept less than the model that they parse: the status has to fit the topic.
from orderfc.usecase.apply_payment_result import EXPECTED as PAYMENT_RESULTS


@dataclass(frozen=True)
class Topic:
    """A topic and the model that its producer publishes.

    `compensation` says what undoes the effect of its events, `added` names integer fields that the producer's SQL adds.
    """

    name: str
    producer: str
    payload: type[BaseModel]
    meaning: str
    compensation: str
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """What one consumer reads of a topic; `takes` limits a text field to the values that its code accepts.

    `in_go` marks a service of the Go system.
    """

    service: str
    topic: str
    payload: type[BaseModel]
    takes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    in_go: bool = False

    @property
    def name(self) -> str:
        """The service's name as messages show it."""
        return f"{self.service} (Go)" if self.in_go else self.service


TOPICS = (
    Topic(
        "order.created",
        "orderfc",
        orderfc.events.OrderCreated,
        "An order was accepted: make its invoice.",
        "`stock.rejected`",
        ("order_id",),
    ),
    Topic(
        "stock.updated",
        "orderfc",
        orderfc.events.StockUpdated,
        "Take this stock for the order, all of it or nothing.",
        "`stock.rollback`",
        ("order_id",),
    ),
    Topic(
        "stock.rollback",
        "orderfc",
        orderfc.events.StockRollback,
        "Give back what this order holds.",
        "none",
    ),
    Topic(
        "order.cancelled",
        "orderfc",
        orderfc.events.OrderCancelled,
        "The customer does not want the order any more.",
        "none",
    ),
    Topic(
        "payment.success",
        "paymentfc",
        paymentfc.events.PaymentSuccess,
        "The money has arrived.",
        "refund",
    ),
    Topic(
        "payment.failed",
        "paymentfc",
        paymentfc.events.PaymentFailed,
        "The money will not arrive.",
        "none",
    ),
    Topic(
        "stock.rejected",
        "productfc",
        productfc.events.StockRejected,
        "The stock was not there; nothing was taken.",
        "none",
    ),
)


def _payment_result(topic: str) -> Reader:
    _, statuses = PAYMENT_RESULTS[topic]
    return Reader("orderfc", topic, orderfc.events.PaymentResult, {"status": statuses})


READERS = (
    Reader("paymentfc", "order.created", paymentfc.events.OrderCreated),
    Reader("productfc", "stock.updated", productfc.events.StockUpdated),
    Reader("productfc", "stock.rollback", productfc.events.StockRollback),
    _payment_result("payment.success"),
    _payment_result("payment.failed"),
    Reader("orderfc", "stock.rejected", orderfc.events.StockRejected),
    Reader("paymentfc", "stock.rejected", paymentfc.events.StockRejected),
    Reader("paymentfc", "order.cancelled", paymentfc.events.OrderCancelled),
    *(Reader(service, topic, payload, in_go=True) for service, topic, payload in go.READERS),
)


# Topic -> the service that publishes on it, and the services that consume it, each in the group of its own name.
PRODUCERS: Mapping[str, str] = {topic.name: topic.producer for topic in TOPICS}
CONSUMERS: Mapping[str, tuple[str, ...]] = {
    name: tuple(reader.service for reader in READERS if reader.topic == name and not reader.in_go) for name in PRODUCERS
}
GROUPS = tuple(dict.fromkeys(service for services in CONSUMERS.values() for service in services))


def readers_of(topic: str) -> list[Reader]:
    """Return the readers of a topic, the services of the Go system last."""
    return [reader for reader in READERS if reader.topic == topic]
