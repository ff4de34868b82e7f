"""The messages that paymentfc consumes: each is parsed and given to one use-case, by itself or in a run."""

import asyncio
from collections.abc import Sequence
from functools import partial

from structlog.contextvars import bind_contextvars

from chassis.db.database import Database
from chassis.events import Message, parse
from chassis.kafka.consumer import BatchHandler, Handler
from paymentfc import events
from paymentfc.config import Settings
from paymentfc.usecase.close_cancelled_order import close_cancelled_order
from paymentfc.usecase.close_rejected_order import close_rejected_order
from paymentfc.usecase.register_payment import register_payment


def handlers(
    db: Database, settings: Settings, wake_invoices: asyncio.Event, wake_closings: asyncio.Event
) -> dict[str, Handler]:
    """Return the table topic -> handler. The events wake the loops that make and that expire invoices."""
    return {
        events.ORDER_CREATED: BatchHandler(
            partial(order_created, db, settings, wake_invoices), partial(orders_created, db, settings, wake_invoices)
        ),
        events.STOCK_REJECTED: partial(stock_rejected, db, wake_closings),
        events.ORDER_CANCELLED: partial(order_cancelled, db, wake_closings),
    }


async def order_created(db: Database, settings: Settings, wake: asyncio.Event, message: Message) -> None:
    order = parse(message, events.OrderCreated)
    bind_contextvars(order_id=order.order_id)
    await register_payment(db, settings, wake, [(message, order)])


async def orders_created(db: Database, settings: Settings, wake: asyncio.Event, messages: Sequence[Message]) -> None:
    await register_payment(db, settings, wake, [(message, parse(message, events.OrderCreated)) for message in messages])


async def stock_rejected(db: Database, wake: asyncio.Event, message: Message) -> None:
    rejected = parse(message, events.StockRejected)
    bind_contextvars(order_id=rejected.order_id)
    await close_rejected_order(db, wake, message, rejected)


async def order_cancelled(db: Database, wake: asyncio.Event, message: Message) -> None:
    cancelled = parse(message, events.OrderCancelled)
    bind_contextvars(order_id=cancelled.order_id)
    await close_cancelled_order(db, wake, message, cancelled)
