"""The messages that productfc consumes: parse, bind the order to the log context, call one usecase."""

from structlog.contextvars import bind_contextvars

from chassis.db.database import Database
from chassis.events import Message, parse
from chassis.kafka.consumer import Handler
from productfc import events
from productfc.repository.cache import ProductCache
from productfc.usecase.return_stock import return_stock
from productfc.usecase.take_stock import take_stock


def stock_updated(db: Database, cache: ProductCache) -> Handler:
    """Make the handler of stock.updated."""

    async def handle(message: Message) -> None:
        update = parse(message, events.StockUpdated)
        bind_contextvars(order_id=update.order_id)
        await take_stock(db, cache, message, update)

    return handle


def stock_rollback(db: Database, cache: ProductCache) -> Handler:
    """Make the handler of stock.rollback."""

    async def handle(message: Message) -> None:
        rollback = parse(message, events.StockRollback)
        bind_contextvars(order_id=rollback.order_id)
        await return_stock(db, cache, message, rollback)

    return handle
