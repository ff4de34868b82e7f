"""Changes of consumers: one that needs more than is published is refused, one that takes more is not."""

from copy import deepcopy
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from contracts.compatibility import incompatibilities
from contracts.files import ROOT, broken, committed
from contracts.schemas import Schema, needed, published
from contracts.topics import TOPICS, Reader
from orderfc.events import PaymentResult
from productfc.events import StockUpdated

BY_NAME = {topic.name: topic for topic in TOPICS}
NOW = {topic.name: published(topic) for topic in TOPICS}


def with_reader(reader: Reader, now: Schema | None = None) -> list[str]:
    """Return what a consumer's changed model breaks, also together with a changed event."""
    return incompatibilities(reader.topic, now or NOW[reader.topic], {reader.name: needed(reader)}, NOW[reader.topic])


class Needy(StockUpdated):
    warehouse: str


class Strict(StockUpdated):
    model_config = ConfigDict(extra="forbid")


class Small(StockUpdated):
    products: list[Annotated[Any, Field()]] = Field(max_length=50)


class ByText(PaymentResult):
    order_id: str  # type: ignore[assignment]  # the planted change


class Odd(PaymentResult):
    order_id: Annotated[int, Field(multiple_of=2)]


@pytest.mark.parametrize(
    ("reader", "sentences"),
    [
        (Reader("productfc", "stock.updated", Needy), ["field warehouse is missing; productfc requires it"]),
        (
            Reader("productfc", "stock.updated", Strict),
            ["field event_time is published; productfc refuses unknown fields"],
        ),
        (
            Reader("productfc", "stock.updated", Small),
            ["field products has maxItems 100; productfc takes maxItems 50"],
        ),
        (Reader("orderfc", "payment.failed", ByText), ["field order_id may be integer; orderfc reads string"]),
        (
            Reader("orderfc", "payment.failed", Odd),
            ["field order_id cannot be judged; orderfc declares multipleOf"],
        ),
        (
            Reader("orderfc", "payment.failed", PaymentResult, {"status": frozenset({"FAILED"})}),
            ["field status may be EXPIRED; orderfc takes only FAILED"],
        ),
        (
            Reader("orderfc", "payment.success", PaymentResult, {"status": frozenset({"SETTLED"})}),
            ["field status may be PAID; orderfc takes only SETTLED"],
        ),
    ],
)
def test_a_consumer_that_asks_for_more_than_is_published_is_refused(reader: Reader, sentences: list[str]) -> None:
    assert with_reader(reader) == [f"{reader.topic}: {sentence}" for sentence in sentences]


def test_a_consumer_that_takes_more_than_is_published_breaks_nothing() -> None:
    class Lenient(BaseModel):
        order_id: int | str | None = None
        status: str = ""
        warehouse: str = ""

    assert with_reader(Reader("orderfc", "payment.failed", Lenient)) == []


def test_a_new_field_may_not_be_required_while_messages_without_it_are_still_in_the_topic() -> None:
    class Located(StockUpdated):
        warehouse: str

    class LocatedIfKnown(StockUpdated):
        warehouse: str = "central"

    now = deepcopy(NOW["stock.updated"])
    now["properties"]["warehouse"] = {"type": "string"}
    now["required"].append("warehouse")
    assert with_reader(Reader("productfc", "stock.updated", Located), now) == [
        "stock.updated: in messages published before, field warehouse is missing; productfc requires it"
    ]
    assert with_reader(Reader("productfc", "stock.updated", LocatedIfKnown), now) == []


def test_the_present_events_are_compatible() -> None:
    assert set(committed(ROOT)) == set(BY_NAME)
    assert broken(ROOT) == []
