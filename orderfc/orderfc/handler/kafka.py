"""The messages that orderfc consumes: each is parsed and given to one use-case, by itself or in a run."""

from collections.abc import Sequence
from functools import partial

from structlog.contextvars import bind_contextvars

from chassis.db.database import Database
from chassis.events import Message, parse
from chassis.kafka.consumer import BatchHandler, Handler
from orderfc import events
from orderfc.usecase.apply_payment_result import apply_payment_result
from orderfc.usecase.apply_stock_rejected import apply_stock_rejected


def handlers(db: Database) -> dict[str, Handler]:
    """Return the table topic -> handler."""
    return {
        events.PAYMENT_SUCCESS: BatchHandler(partial(payment_result, db), partial(payment_results, db)),
        events.PAYMENT_FAILED: BatchHandler(partial(payment_result, db), partial(payment_results, db)),
        events.STOCK_REJECTED: BatchHandler(partial(stock_rejected, db), partial(stock_rejections, db)),
    }


async def payment_result(db: Database, message: Message) -> None:
    result = parse(message, events.PaymentResult)
    bind_contextvars(order_id=result.order_id)
    await apply_payment_result(db, [(message, result)])


async def payment_results(db: Database, messages: Sequence[Message]) -> None:
    await apply_payment_result(db, [(message, parse(message, events.PaymentResult)) for message in messages])


async def stock_rejected(db: Database, message: Message) -> None:
    rejected = parse(message, events.StockRejected)
    bind_contextvars(order_id=rejected.order_id)
    await apply_stock_rejected(db, [(message, rejected)])


async def stock_rejections(db: Database, messages: Sequence[Message]) -> None:
    await apply_stock_rejected(db, [(message, parse(message, events.StockRejected)) for message in messages])
