"""The services and Kafka with what they have about orders that wait."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.events import identity
from console.client.admin_api import NoAnswer
from console.client.backlog import Behind, Pending
from console.model.saga import PRODUCERS

from .browser import Browser

PREFIX = "/v1/admin"


def before(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def ago(seconds: float) -> str:
    return before(seconds).isoformat().replace("+00:00", "Z")


def known(topic: str, order: int) -> UUID:
    return identity(PRODUCERS[topic], topic, f"{topic} {order}")


def pending(consumer: str, topic: str, order: int, seconds: float = 30) -> Pending:
    return Pending(consumer, topic, f"order-{order}", known(topic, order), before(seconds))


@dataclass
class Letter:
    """A dead letter of an order."""

    order_id: int | None
    topic: str = "stock.updated"
    place: str = "1:2"
    time: datetime = field(default_factory=lambda: before(60))
    reason: str = "not_yet"
    consumer: str = "productfc"

    @property
    def identity(self) -> UUID:
        return known(self.topic, self.order_id or 0)

    def refusal(self) -> str | None:
        return None


@dataclass
class Item:
    letter: Letter


@dataclass
class Kafka:
    """What is behind the committed offsets, and the dead letters."""

    events: tuple[Pending, ...] = ()
    letters: tuple[Letter, ...] = ()
    more: int = 0
    is_away: bool = False

    @property
    def items(self) -> list[Item]:
        return [Item(letter) for letter in self.letters]

    @property
    def unread(self) -> int:
        return self.more

    async def read(self) -> Behind:
        if self.is_away:
            raise NoAnswer("KafkaConnectionError")
        return Behind(self.events, self.more)

    async def look(self) -> "Kafka":
        if self.is_away:
            raise NoAnswer("KafkaConnectionError")
        return self


def order(number: int, seconds: float) -> dict[str, Any]:
    return {"order_id": number, "created_at": ago(seconds)}


def waiting(number: int, seconds: float, **given: Any) -> dict[str, Any]:
    """Make an open payment with an invoice."""
    row = {
        "order_id": number,
        "moment": ago(-3600),
        "invoice_id": f"i-{number}",
        "invoice_url": f"https://pay.example/{number}",
        "invoice_time": ago(seconds),
        "expires_at": ago(-3600),
        "sweep_after": None,
        "create_time": ago(seconds),
        "attempts": None,
        "tries": None,
        "last_error": None,
        "wrong_money": None,
    }
    return row | given


def paid(number: int, status: str) -> dict[str, Any]:
    payment = {"order_id": number, "status": status, "update_time": ago(50), "expires_at": None}
    return {"payment": payment, "request": None}


NO_ITEMS: dict[str, list[Any]] = {
    name: [] for name in ("callbacks", "confirmations", "anomalies", "refunds", "closings")
}


@dataclass
class Desk:
    """The services with what they have about orders that wait, and a person who looks."""

    browser: Browser
    kafka: Kafka
    applied: set[UUID] = field(default_factory=set)

    def say(self, service: str, path: str, answer: Any) -> None:
        self.browser.platform.more[f"{service}{PREFIX}/{path}"] = answer

    def orders(self, *rows: dict[str, Any]) -> None:
        self.say("orderfc", "orders", {"items": list(rows), "next_before_id": None})

    def payments(self, **by_step: Iterable[dict[str, Any]]) -> None:
        self.say(
            "paymentfc",
            "payments/waiting",
            lambda request: {"items": list(by_step.get(request.url.params["step"], ())), "next_after": None},
        )

    def items(self, **kinds: list[dict[str, Any]]) -> None:
        self.say("paymentfc", "payments/open-items", {**NO_ITEMS, **kinds})

    def inbox(self, request: Any) -> dict[str, Any]:
        wanted = {UUID(text) for text in request.url.params["event_ids"].split(",")}
        return {"items": [{"event_id": str(each), "received_at": ago(1)} for each in wanted & self.applied]}

    async def text(self, path: str = "/waiting") -> str:
        answer = await self.browser.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text
