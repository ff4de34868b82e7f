"""A change of an event that breaks a reader is refused; the sentence names the field and the readers."""

from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from contracts.compatibility import incompatibilities
from contracts.schemas import Schema, needed, published
from contracts.topics import TOPICS, readers_of
from orderfc.events import OrderCreated, OrderedProduct
from paymentfc.events import PaymentFailed
from productfc.events import RejectedLine, StockRejected

BY_NAME = {topic.name: topic for topic in TOPICS}
NOW = {topic.name: published(topic) for topic in TOPICS}


def declared(topic: str) -> dict[str, Schema]:
    """The fields of a topic with all readers."""
    return {reader.name: needed(reader) for reader in readers_of(topic)}


def after(topic: str, payload: type[BaseModel]) -> list[str]:
    """Return what a producer's changed model breaks."""
    return incompatibilities(topic, published(replace(BY_NAME[topic], payload=payload)), declared(topic), NOW[topic])


def edited(topic: str, field: str, **changed: Any) -> Schema:
    """Return the schema of a topic with keywords of a field changed; None removes one."""
    schema = deepcopy(NOW[topic])
    part = schema["properties"]
    *outer, name = field.split(".")
    for step in outer:
        part = part[step]["items"]["properties"]
    part[name] = {keyword: value for keyword, value in {**part[name], **changed}.items() if value is not None}
    return schema


class Failed(BaseModel):
    """payment.failed without what tests change."""

    order_id: int
    topic: Literal["payment.failed"] = "payment.failed"


class WithoutReason(Failed):
    status: Literal["FAILED", "EXPIRED"]


class ReasonRenamed(WithoutReason):
    cause: str


class ReasonOptional(WithoutReason):
    reason: str | None = None


class ReasonLeftOut(WithoutReason):
    reason: str = Field("", exclude_if=lambda value: not value)


class OrderAsText(PaymentFailed):
    order_id: str  # type: ignore[assignment]  # the planted change


class NewStatus(PaymentFailed):
    status: Literal["FAILED", "EXPIRED", "REFUNDED"]  # type: ignore[assignment]  # the planted change


class AnyStatus(PaymentFailed):
    status: str  # type: ignore[assignment]  # the planted change


class FewerStatuses(PaymentFailed):
    status: Literal["FAILED"]


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (WithoutReason, "field reason was removed; orderfc (Go) requires it"),
        (ReasonRenamed, "field reason was renamed to cause; orderfc (Go) requires it"),
        (ReasonOptional, "field reason changed from string to string or null; orderfc (Go) reads string"),
        (ReasonLeftOut, "field reason is no longer always there; orderfc (Go) requires it"),
        (
            OrderAsText,
            "field order_id changed from integer to string; orderfc reads integer, orderfc (Go) reads integer",
        ),
        (
            NewStatus,
            "field status may now be REFUNDED; "
            "orderfc takes only EXPIRED, FAILED, orderfc (Go) takes only EXPIRED, FAILED",
        ),
        (
            AnyStatus,
            "field status may now be any string; "
            "orderfc takes only EXPIRED, FAILED, orderfc (Go) takes only EXPIRED, FAILED",
        ),
        (FewerStatuses, "field status can no longer be EXPIRED; orderfc reads it, orderfc (Go) reads it"),
    ],
)
def test_a_change_of_payment_failed_names_those_whom_it_breaks(payload: type[BaseModel], sentence: str) -> None:
    assert after("payment.failed", payload) == [f"payment.failed: {sentence}"]


class UnnamedProduct(BaseModel):
    product_id: int
    quantity: int
    price: float


class QtyProduct(UnnamedProduct):
    name: str
    quantity: int = Field(serialization_alias="qty")


class Unnamed(OrderCreated):
    products: list[UnnamedProduct]  # type: ignore[assignment]  # the planted change


class WithQty(OrderCreated):
    products: list[QtyProduct]  # type: ignore[assignment]  # the planted change


class WholeTotal(OrderCreated):
    total_amount: int  # type: ignore[assignment]  # the planted change


class OneProduct(OrderCreated):
    products: OrderedProduct  # type: ignore[assignment]  # the planted change


@pytest.mark.parametrize(
    ("payload", "sentences"),
    [
        (Unnamed, ["field products[].name was removed; paymentfc reads it"]),
        (WithQty, ["field products[].quantity was renamed to qty; paymentfc requires it"]),
        (
            WholeTotal,
            ["field total_amount changed from number to integer; paymentfc reads it, paymentfc (Go) reads it"],
        ),
        (OneProduct, ["field products changed from array to object; paymentfc reads array"]),
    ],
)
def test_a_change_within_the_lines_of_an_order_names_those_whom_it_breaks(
    payload: type[BaseModel], sentences: list[str]
) -> None:
    assert after("order.created", payload) == [f"order.created: {sentence}" for sentence in sentences]


def test_a_field_that_nobody_here_reads_is_refused_too_because_it_was_published() -> None:
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in StockRejected.model_fields.items()}
    time_as_text = create_model("TimeAsText", **{**fields, "event_time": (str, ...)})
    del fields["event_time"]
    timeless = create_model("Timeless", **fields)

    left = "no service here reads it, but others may"
    assert after("stock.rejected", timeless) == [f"stock.rejected: field event_time was removed; {left}"]
    assert after("stock.rejected", time_as_text) == [
        f"stock.rejected: field event_time changed from string (date-time) to string; {left}"
    ]


def test_a_topic_that_is_no_longer_published_is_missed_by_its_readers() -> None:
    assert incompatibilities("stock.rejected", None, declared("stock.rejected"), NOW["stock.rejected"]) == [
        "stock.rejected: the topic is no longer published; orderfc reads it, paymentfc reads it"
    ]


def test_what_the_producer_no_longer_holds_to_a_bound_breaks_those_who_rely_on_it() -> None:
    unbounded = edited("stock.updated", "products.quantity", maximum=None)
    wider = edited("stock.updated", "products.quantity", maximum=2_000)
    from_zero = edited("stock.updated", "products.quantity", minimum=0)
    judged = [
        incompatibilities("stock.updated", now, declared("stock.updated"), NOW["stock.updated"])
        for now in (unbounded, wider, from_zero)
    ]
    assert judged == [
        ["stock.updated: field products[].quantity has no maximum; productfc takes maximum 2147483647"],
        [],
        ["stock.updated: field products[].quantity has minimum 0; productfc takes minimum 1"],
    ]


def test_new_fields_are_compatible_at_the_top_and_within_lines() -> None:
    class Line(RejectedLine):
        free: int

    class More(StockRejected):
        products: list[Line]  # type: ignore[assignment]  # the planted change
        warehouse: str | None

    class MoreFailed(PaymentFailed):
        closed_at: datetime

    assert after("stock.rejected", More) == []
    assert after("payment.failed", MoreFailed) == []
