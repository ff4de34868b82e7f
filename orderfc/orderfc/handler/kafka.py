"""The messages that orderfc consumes: parse, bind the order to the log context, call one usecase."""

from structlog.contextvars import bind_contextvars

from chassis.db.database import Database
from chassis.events import Message, parse
from chassis.kafka.consumer import Handler
from orderfc import events
from orderfc.usecase.apply_payment_result import apply_payment_result
from orderfc.usecase.apply_stock_rejected import apply_stock_rejected


def payment_result(db: Database) -> Handler:
    """Make the handler of payment.success and payment.failed."""

    async def handle(message: Message) -> None:
        result = parse(message, events.PaymentResult)
        bind_contextvars(order_id=result.order_id)
        await apply_payment_result(db, message, result)

    return handle


def stock_rejected(db: Database) -> Handler:
    """Make the handler of stock.rejected."""

    async def handle(message: Message) -> None:
        rejected = parse(message, events.StockRejected)
        bind_contextvars(order_id=rejected.order_id)
        await apply_stock_rejected(db, message, rejected)

    return handle
