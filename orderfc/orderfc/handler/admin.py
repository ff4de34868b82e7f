"""The routes of orderfc for administrators: the orders of all customers."""

from typing import Annotated

from fastapi import Query

from chassis.auth.tokens import AdminUser
from chassis.http.app import errors
from chassis.http.dependencies import Db
from chassis.http.routing import Router
from chassis.ids import PathId
from orderfc.errors import OrderNotFound
from orderfc.handler.admin_schemas import AdminOrder, OrderPage, OrdersQuery
from orderfc.repository import admin_orders

router = Router(prefix="/v1/admin/orders", tags=["administration"])


@router.get("", responses=errors(403), summary="List orders")
async def list_orders(_: AdminUser, db: Db, query: Annotated[OrdersQuery, Query()]) -> OrderPage:
    """List orders of all customers, newest first.

    Orders that are `created` wait for a step: `created_to` leaves out those that have just begun.
    All filters have to fit. A page reads at most 10,000 orders, whatever the filters leave of them: go on with
    `next_before_id` until it is null.
    """
    return OrderPage.of(await admin_orders.page(db, query.filter(), query.before_id, query.limit))


@router.get("/{order_id}", responses=errors(403, 404), summary="Read all that is stored of an order")
async def read_order(_: AdminUser, order_id: PathId, db: Db) -> AdminOrder:
    """Read an order with its customer, the names of its products, and the cause of each step."""
    text = await admin_orders.one(db, order_id)
    if text is None:
        raise OrderNotFound(order_id)
    return AdminOrder.model_validate_json(text)
