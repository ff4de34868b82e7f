"""The statements of the routes for administrators, run by the functions of the services' own repositories."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from chassis.db import inbox, outbox_admin
from chassis.db.database import Database
from chassis.db.outbox_admin import Unsent
from chassis.ids import uuid7
from orderfc.model import Status
from orderfc.repository import admin_orders
from orderfc.repository.admin_orders import Filter
from paymentfc.repository import dossiers, open_items
from paymentfc.repository.dossiers import Place, Step
from productfc.repository import stock_books
from userfc.repository import users

PAGE = 20
# Of a list with a filter that little fits, a page reads many rows, however many there are. The same number for both
# databases, so that only what depends on their size differs.
SCAN = 100
# Nobody has ordered it.
RARE = 2_000


def admin_work_of(order: int) -> dict[str, dict[str, Callable[[Database], Awaitable[object]]]]:
    """Return service -> what is measured -> the function that does it; `order` is one that is still open."""
    since = datetime.now(UTC) - timedelta(days=3)
    orders = {
        "newest": Filter(),
        "of a customer": Filter(user_id=1),
        "a rare status": Filter(Status.FAILED),
        "a rare status of a time": Filter(Status.FAILED, None, since, since + timedelta(hours=1)),
        "of a rare product": Filter(product_id=RARE),
        "of a customer with a rare product": Filter(user_id=1, product_id=RARE),
        "named": Filter(ids=list(range(order, 0, -max(order // 100, 1)))[:100]),
    }
    return {
        "orderfc": {
            **{f"admin, orders, {name}": partial(_orders, wanted=wanted) for name, wanted in orders.items()},
            "admin, one order": lambda db: admin_orders.one(db, order),
            "admin, inbox": lambda db: inbox.received(db, "orderfc", [uuid7() for _ in range(100)]),
            **{f"admin, outbox, {state}": partial(_outbox, state=state) for state in (None, *Unsent)},
            "admin, outbox of a topic": partial(_outbox, topic="stock.updated"),
            "admin, outbox of a key": lambda db: outbox_admin.of_key(db, f"order-{order}", PAGE),
            "admin, outbox of an event": lambda db: outbox_admin.of_event(db, uuid7()),
        },
        "paymentfc": {
            "admin, all of an order": lambda db: dossiers.of_order(db, order),
            "admin, order of an invoice": lambda db: dossiers.order_of_invoice(db, "invoice-7"),
            "admin, order of an external id": lambda db: dossiers.order_of_external(db, "order-7"),
            **{f"admin, payments that wait: {step}": partial(_waiting, step=step) for step in Step},
            "admin, open items": lambda db: open_items.read(db, PAGE),
        },
        "productfc": {
            "admin, stock of an order": lambda db: stock_books.of_order(db, order),
            "admin, stock of a product": lambda db: stock_books.of_product(db, 7),
        },
        "userfc": {
            "admin, users by id": lambda db: users.by_ids(db, list(range(1, 101))),
            "admin, user by address": lambda db: users.of_email(db, "user7@example.com"),
        },
    }


async def _orders(db: Database, wanted: Filter) -> object:
    return await admin_orders.page(db, wanted, None, PAGE, SCAN)


async def _outbox(db: Database, state: Unsent | None = None, topic: str | None = None) -> object:
    return await outbox_admin.page(db, topic=topic, state=state, after_id=None, limit=PAGE, scan=SCAN)


async def _waiting(db: Database, step: Step) -> Any:
    return await dossiers.waiting(db, step, Place(), PAGE)
