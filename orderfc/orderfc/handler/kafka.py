"""The messages that orderfc consumes: each is parsed and given to one use-case."""

from functools import partial

from structlog.contextvars import bind_contextvars

from chassis.db.database import Database
from chassis.events import Message, parse
from chassis.kafka.consumer import Handler
from orderfc import events
from orderfc.usecase.apply_payment_result import apply_payment_result
from orderfc.usecase.apply_stock_rejected import apply_stock_rejected


def handlers(db: Database) -> dict[str, Handler]:
    """Return the table topic -> handler."""
    return {
        events.PAYMENT_SUCCESS: partial(payment_result, db),
        events.PAYMENT_FAILED: partial(payment_result, db),
        events.STOCK_REJECTED: partial(stock_rejected, db),
    }


async def payment_result(db: Database, message: Message) -> None:
    result = parse(message, events.PaymentResult)
    bind_contextvars(order_id=result.order_id)
    await apply_payment_result(db, message, result)


async def stock_rejected(db: Database, message: Message) -> None:
    rejected = parse(message, events.StockRejected)
    bind_contextvars(order_id=rejected.order_id)
    await apply_stock_rejected(db, message, rejected)
