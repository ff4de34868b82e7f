"""The routes of productfc for administrators: what explains the stock of an order and of a product."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from chassis.auth.tokens import AdminUser
from chassis.http.app import errors
from chassis.http.dependencies import Db
from chassis.http.routing import Router
from chassis.ids import PathId
from chassis.times import UtcTime
from productfc.errors import ProductNotFound
from productfc.model import LedgerState
from productfc.repository import stock_books

router = Router(prefix="/v1/admin/stock", tags=["administration"])


class LedgerRow(BaseModel):
    """What an order holds of a product, or held; a tombstone of product 0 is a rollback that named none."""

    product_id: int = Field(examples=[1])
    quantity: int = Field(examples=[2])
    state: LedgerState
    event_id: UUID = Field(description="The event behind the state", examples=["01a210a9-9ec2-78c3-b1f9-482d059d4740"])
    created_at: UtcTime = Field(examples=["2026-11-25T08:30:00.250Z"])
    updated_at: UtcTime = Field(examples=["2026-11-25T08:30:00.250Z"])


class OrderStock(BaseModel):
    """The ledger of an order; no rows when no stock event of it was applied here."""

    order_id: int = Field(examples=[1001])
    rows: list[LedgerRow]


class Adjustment(BaseModel):
    """A change of the stock by an administrator, or the stock that a product began with."""

    id: int = Field(examples=[12])
    units: int = Field(examples=[1000])
    cause: Literal["opening", "created", "set"]
    created_at: UtcTime = Field(examples=["2026-11-24T10:00:00Z"])


class ProductStock(BaseModel):
    """The free stock of a product, and its last 100 adjustments, newest first."""

    product_id: int = Field(examples=[1])
    name: str = Field(examples=["Ceramic Mug"])
    stock: int = Field(description="Free: what open orders hold is not in it", examples=[998])
    created_at: UtcTime = Field(examples=["2026-11-24T10:00:00Z"])
    deleted_at: UtcTime | None = Field(description="When it was taken off sale", examples=[None])
    adjustments: list[Adjustment]


@router.get("/orders/{order_id}", responses=errors(403), summary="Read the stock that an order holds")
async def read_order_stock(_: AdminUser, order_id: PathId, db: Db) -> OrderStock:
    """Read the ledger of an order. productfc knows no orders: one without rows may not exist."""
    rows = await stock_books.of_order(db, order_id)
    return OrderStock(order_id=order_id, rows=[LedgerRow.model_validate(dict(row)) for row in rows])


@router.get("/products/{product_id}", responses=errors(403, 404), summary="Read what explains a product's stock")
async def read_product_stock(_: AdminUser, product_id: PathId, db: Db) -> ProductStock:
    """Read the free stock and the adjustments of a product, also of one that is not on sale any more."""
    found = await stock_books.of_product(db, product_id)
    if found is None:
        raise ProductNotFound(product_id)
    product, adjustments = found
    rows = [Adjustment.model_validate(dict(row)) for row in adjustments]
    return ProductStock.model_validate({**product, "product_id": product["id"], "adjustments": rows})
