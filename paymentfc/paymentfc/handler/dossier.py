"""The routes of paymentfc that show an administrator all that it knows of an order, and which payments wait."""

from typing import Annotated

from fastapi import Query

from chassis.auth.tokens import AdminUser
from chassis.db.database import Database
from chassis.errors import NotFound
from chassis.http.app import errors
from chassis.http.dependencies import Db
from chassis.http.routing import Router
from chassis.ids import PathId
from paymentfc.errors import PaymentNotFound
from paymentfc.handler.dossier_schemas import Dossier, LookUp
from paymentfc.handler.open_item_schemas import OpenItems, OpenItemsQuery
from paymentfc.handler.waiting_schemas import WaitingPage, WaitingQuery
from paymentfc.repository import dossiers, open_items

router = Router(prefix="/v1/admin/payments", tags=["administration"])


@router.get("", responses=errors(403, 404), summary="Find a payment by its invoice")
async def find_payment(_: AdminUser, db: Db, query: Annotated[LookUp, Query()]) -> Dossier:
    """Find a payment by Xendit's id of its invoice, or by the external id that we gave it."""
    if query.invoice_id is not None:
        order_id = await dossiers.order_of_invoice(db, query.invoice_id)
    else:
        order_id = await dossiers.order_of_external(db, query.external_id or "")
    if order_id is None:
        raise NotFound("no payment has this invoice")
    return await _dossier(db, order_id)


@router.get("/waiting", responses=errors(403), summary="List open payments by what they wait for")
async def list_waiting(_: AdminUser, db: Db, query: Annotated[WaitingQuery, Query()]) -> WaitingPage:
    """List the open payments that wait for one step, those first whose turn comes first.

    A payment that is worked on meanwhile gets a later turn, and may come again on a later page.
    """
    return WaitingPage.of(await dossiers.waiting(db, query.step, query.place(), query.limit), query.limit)


@router.get("/open-items", responses=errors(403), summary="List what is open besides unpaid orders")
async def list_open_items(_: AdminUser, db: Db, query: Annotated[OpenItemsQuery, Query()]) -> OpenItems:
    """List callbacks that wait, anomalies, refunds and invoices to be expired, each oldest first."""
    return OpenItems.model_validate_json(await open_items.read(db, query.limit))


@router.get("/orders/{order_id}", responses=errors(403, 404), summary="Read all that is known of an order's payment")
async def read_dossier(_: AdminUser, order_id: PathId, db: Db) -> Dossier:
    """Read the payment of an order with its request, callbacks, anomalies, refunds and closings, each oldest first.

    404 when nothing of the order is known here.
    """
    return await _dossier(db, order_id)


async def _dossier(db: Database, order_id: int) -> Dossier:
    dossier = Dossier.model_validate_json(await dossiers.of_order(db, order_id))
    if dossier.is_empty:
        raise PaymentNotFound(order_id)
    return dossier
