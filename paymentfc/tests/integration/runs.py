"""Messages of new orders, and orders whose messages are delivered in runs or one by one, to compare the results."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from chassis.errors import InvalidMessage
from chassis.events import Message
from chassis.message_scope import message_scope
from paymentfc.events import ORDER_CREATED
from paymentfc.model.callback import Callback
from paymentfc.model.payment import external_id
from testkit.properties import Burst, Delivery

from .bench import Bench

ORDERS = range(4)
# Each table with the column by which its rows are found, and whether that is an external id, an order id or neither.
TABLES = {
    "payments": "order_id",
    "payment_requests": "order_id",
    "rejected_orders": "order_id",
    "audit_outbox": "external_id",
    "payment_callbacks": "external_id",
    "payment_confirmations": "external_id",
    "payment_anomalies": "external_id",
    "refunds": "order_id",
    "outbox": "key",
    "inbox": "event_id",
}
# What differs between two orders that have the same past, and the time of something that has happened.
REFUND = re.compile(r'("refund_id": )[0-9]+')
OWN = ("id", "event_id", "payment_id", "create_time", "update_time", "created_at", "received_at", "due_at")


@dataclass(frozen=True)
class News:
    """An order.created, which `twist` may make `bad` (no amount) or `borrowed` (with an id that others have too).

    Without a twist: a rejection, or a callback with the status `early`, that comes before it or after it.
    """

    order: int
    twist: str = ""
    early: str = ""


# News that come one by one, and then a run.
Step = tuple[list[News], Burst[News]]


def created(order_id: int, event_id: str = "", trace: str = "", **fields: object) -> Message:
    """Return an order.created, by default with a new event id and without a trace."""
    value = {"order_id": order_id, "user_id": 3, "total_amount": 150_000, **fields}
    headers = [("ce_id", (event_id or str(uuid4())).encode()), ("traceparent", trace.encode())]
    return Message.received(ORDER_CREATED, 0, 0, external_id(order_id).encode(), json.dumps(value).encode(), headers)


def callback(order_id: int, status: str = "PAID", *, invoice_id: str = "", amount: int = 150_000) -> Callback:
    """Return a callback about an order that may have no payment yet, by default about its only invoice."""
    return Callback(invoice_id or f"early-{order_id}", external_id(order_id), status, Decimal(amount), None, "IDR")


@dataclass
class Stage:
    """The orders of one way of delivery; everything is told by their small numbers."""

    bench: Bench
    orders: list[int] = field(default_factory=lambda: [uuid4().int >> 66 for _ in ORDERS])
    name: UUID = field(default_factory=uuid4)
    sent: dict[UUID, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    async def happens(self, news: News) -> None:
        order_id = self.orders[news.order]
        if news.early == "rejection":
            await self.bench.rejected(order_id)
        else:
            await self.bench.receive(callback(order_id, news.early))

    def message(self, delivery: Delivery[News]) -> Message:
        news, number = delivery.event, delivery.number
        event_id = str(delivery.event_id(self.name)) if news.twist != "borrowed" else f"{self.name} {number}"
        trace = f"00-{number + 1:032x}-{news.order + 1:016x}-00"
        # Each event of an order says something else, to see which of them counts.
        fields = {"user_id": number + 1, "total_amount": 0 if news.twist == "bad" else 150_000, "payment_method": trace}
        lines = [{"product_id": 1, "quantity": number + 1, "price": 5}]
        made = created(self.orders[news.order], event_id, trace, **fields, products=lines)
        self.sent[made.identity] = f"{news.twist} {news.order if news.twist != 'borrowed' else ''} {number}"
        return made

    async def deliver(self, messages: Sequence[Message], *, together: bool) -> None:
        """Apply a run as the consumer does: one by one after any error, where a poison message is a dead letter."""
        if together:
            try:
                await self.bench.deliver_together(messages)
            except InvalidMessage:
                pass
            else:
                return
        for message in messages:
            try:
                with message_scope(message):
                    await self.bench.handlers[ORDER_CREATED](message)
            except InvalidMessage:
                self.refused.append(self.sent[message.identity])

    async def result(self) -> dict[str, Any]:
        """Return what the database holds, in terms of the numbers."""
        found: dict[str, Any] = {"refused": self.refused}
        ids = {"order_id": self.orders, "event_id": list(self.sent)}
        texts = [external_id(order_id) for order_id in self.orders]
        for table, column in TABLES.items():
            sql = f"SELECT to_jsonb(t)::text AS row FROM {table} AS t WHERE {column} = ANY($1)"
            rows = [json.loads(row["row"]) for row in await self.bench.rows(sql, ids.get(column, texts))]
            found[table] = sorted(self._told(row) for row in rows)
        return found

    def _told(self, row: dict[str, Any]) -> str:
        event = self.sent.get(UUID(row["event_id"])) if row.get("event_id") else None
        told = {name: value for name, value in row.items() if name not in OWN}
        for name in told:
            if name.endswith(("_at", "_time", "_after")):
                told[name] = told[name] is not None
        # The span of a message is a new one each time.
        text = re.sub("(00-[0-9a-f]{32})-[0-9a-f]{16}-00", r"\1", json.dumps({**told, "event": event}, sort_keys=True))
        text = REFUND.sub(r"\1", text)
        for number, order_id in enumerate(self.orders):
            text = text.replace(str(order_id), f"<{number}>")
        return text


async def play(stage: Stage, schedule: list[Step], *, together: bool) -> None:
    for before, run in schedule:
        for news in before:
            await stage.happens(news)
        if run.purge:
            await stage.bench.execute("DELETE FROM inbox")
        await stage.deliver([stage.message(delivery) for delivery in run.deliveries], together=together)
