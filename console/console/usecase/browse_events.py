"""Answers what an operator asks of the topics: about an order, since a time, at a place, or the newest records."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from chassis import clock
from console.client.admin_api import AdminApi, NoAnswer
from console.model.facts import CLOCK_SKEW
from console.model.records import Positions, Reading, moment_of, positions_of
from console.model.saga import TOPIC_RETENTION

MAX_TEXT = 5_000


class Topics(Protocol):
    """Where records are read. Each call raises NoAnswer."""

    async def newest(self, topic: str) -> Reading:
        """Read the last records of a topic."""

    async def since(self, topic: str, moment: datetime) -> Reading:
        """Read the first records of a topic since a time."""

    async def onwards(self, positions: Positions) -> Reading:
        """Read the first records behind positions."""

    async def of_key(self, key: str, since: datetime | Positions) -> Reading:
        """Look for the records of a key."""


class Unclear(Exception):
    """The question can't be read; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a form or a link asks, as text. `onwards` is where an earlier reading goes on."""

    order: str = ""
    topic: str = ""
    since: str = ""
    partition: str = ""
    offset: str = ""
    onwards: str = ""

    @property
    def is_asked(self) -> bool:
        return bool(self.order or self.topic or self.onwards)

    @property
    def is_newest(self) -> bool:
        """Whether it asks for the last records of a topic."""
        return bool(self.topic) and not (self.order or self.since or self.partition or self.offset or self.onwards)

    @property
    def order_id(self) -> int | None:
        """The number of the order. Raises Unclear."""
        return _number(self.order.strip().removeprefix("order-"), "The order") if self.order.strip() else None


async def browse_events(topics: Topics, api: AdminApi, question: Question) -> Reading:
    """Read the records that are asked for. Raises Unclear and NoAnswer."""
    onwards = _positions(question.onwards) if question.onwards else None
    if order_id := question.order_id:
        since = onwards if onwards is not None else await _placed(api, order_id) - CLOCK_SKEW
        return await topics.of_key(f"order-{order_id}", since)
    if onwards is not None:
        return await topics.onwards(onwards)
    if question.partition or question.offset:
        place = question.topic, _number(question.partition or "0", "The partition", least=0)
        return await topics.onwards({place: _number(question.offset or "0", "The offset", least=0)})
    if question.since:
        return await topics.since(question.topic, _moment(question.since))
    return await topics.newest(question.topic)


async def _placed(api: AdminApi, order_id: int) -> datetime:
    """Return when an order was placed by Kafka's clock, or an earlier time."""
    try:
        order = await api.order(order_id)
    except NoAnswer:
        order = None
    if not order:
        return datetime.now(UTC) - TOPIC_RETENTION
    return datetime.fromisoformat(order["created_at"]) - timedelta(seconds=clock.ahead_s())


def _number(text: str, what: str, least: int = 1) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) >= least):
        raise Unclear(f"{what} is not a whole number from {least} on")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        return moment_of(text)
    except ValueError:
        raise Unclear("The time is not one, such as 2026-11-28T09:30") from None


def _positions(link: str) -> Positions:
    try:
        return positions_of(link[:MAX_TEXT])
    except ValueError as error:
        raise Unclear(str(error)) from None
