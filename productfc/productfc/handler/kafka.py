"""The messages that productfc consumes: each is parsed and given to one use-case."""

from functools import partial

from structlog.contextvars import bind_contextvars

from chassis.db.database import Database
from chassis.events import Message, parse
from chassis.kafka.consumer import Handler
from productfc import events
from productfc.repository.cache import ProductCache
from productfc.usecase.return_stock import return_stock
from productfc.usecase.take_stock import take_stock


def handlers(db: Database, cache: ProductCache) -> dict[str, Handler]:
    return {
        events.STOCK_UPDATED: partial(stock_updated, db, cache),
        events.STOCK_ROLLBACK: partial(stock_rollback, db, cache),
    }


async def stock_updated(db: Database, cache: ProductCache, message: Message) -> None:
    update = parse(message, events.StockUpdated)
    bind_contextvars(order_id=update.order_id)
    await take_stock(db, cache, message, update)


async def stock_rollback(db: Database, cache: ProductCache, message: Message) -> None:
    rollback = parse(message, events.StockRollback)
    bind_contextvars(order_id=rollback.order_id)
    await return_stock(db, cache, message, rollback)
