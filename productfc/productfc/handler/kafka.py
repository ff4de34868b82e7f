"""The messages that productfc consumes: each is parsed and given to one use-case, by itself or in a run."""

from collections.abc import Sequence
from functools import partial

from structlog.contextvars import bind_contextvars

from chassis.db.database import Database
from chassis.events import Message, parse
from chassis.kafka.consumer import BatchHandler, Handler
from productfc import events
from productfc.repository.cache import ProductCache
from productfc.usecase.return_stock import return_stock
from productfc.usecase.take_stock import take_stock


def handlers(db: Database, cache: ProductCache) -> dict[str, Handler]:
    """Return the table topic -> handler."""
    return {
        events.STOCK_UPDATED: BatchHandler(partial(stock_updated, db, cache), partial(stock_updates, db, cache)),
        events.STOCK_ROLLBACK: BatchHandler(partial(stock_rollback, db, cache), partial(stock_rollbacks, db, cache)),
    }


async def stock_updated(db: Database, cache: ProductCache, message: Message) -> None:
    update = parse(message, events.StockUpdated)
    bind_contextvars(order_id=update.order_id)
    await take_stock(db, cache, [(message, update)])


async def stock_updates(db: Database, cache: ProductCache, messages: Sequence[Message]) -> None:
    await take_stock(db, cache, [(message, parse(message, events.StockUpdated)) for message in messages])


async def stock_rollback(db: Database, cache: ProductCache, message: Message) -> None:
    rollback = parse(message, events.StockRollback)
    bind_contextvars(order_id=rollback.order_id)
    await return_stock(db, cache, [(message, rollback)])


async def stock_rollbacks(db: Database, cache: ProductCache, messages: Sequence[Message]) -> None:
    await return_stock(db, cache, [(message, parse(message, events.StockRollback)) for message in messages])
