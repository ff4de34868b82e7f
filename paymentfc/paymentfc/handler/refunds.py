"""The routes of refunds, for administrators."""

from typing import Annotated

from fastapi import Header, Query, Request

from chassis.auth.tokens import AdminUser
from chassis.http.app import errors
from chassis.http.dependencies import Db
from chassis.http.keys import idempotency_key
from chassis.http.routing import Router
from chassis.ids import PathId
from paymentfc.handler.admin import acting
from paymentfc.handler.refund_schemas import RefundList, RefundQuery, RefundRequest, RefundView, Settlement, WakeRefunds
from paymentfc.repository import refunds
from paymentfc.usecase.approve_refund import approve_refund
from paymentfc.usecase.request_refund import request_refund
from paymentfc.usecase.settle_refund import settle_refund

router = Router(prefix="/v1/payments", tags=["refunds"])

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        description="Per administrator: the same key with the same body is one refund",
        min_length=1,
        max_length=257,
    ),
]


@router.get("/refunds", responses=errors(403), summary="List refunds")
async def list_refunds(_: AdminUser, db: Db, query: Annotated[RefundQuery, Query()]) -> RefundList:
    """List money that is to be given back, or that was, newest first."""
    page = await refunds.page(db, query.page, query.page_size, status=query.status, order_id=query.order_id)
    return RefundList.model_validate(page)


@router.post(
    "/{order_id}/refund", status_code=201, responses=errors(403, 404, 409, 422, 503), summary="Refund a payment"
)
async def refund(
    request: Request, order_id: PathId, body: RefundRequest, user: AdminUser, db: Db, key: Key
) -> RefundView:
    """Have money of a paid order given back: all that is left of it, or `amount`."""
    # All headers of this name, and in the syntax of the draft.
    key = idempotency_key(request) or key
    found = await request_refund(db, acting(user, request), order_id, body.amount, body.reason, key)
    return RefundView.model_validate(found)


@router.post("/refunds/{refund_id}/approve", responses=errors(403, 404, 409, 503), summary="Send a refund to Xendit")
async def approve(request: Request, refund_id: PathId, user: AdminUser, db: Db, wake: WakeRefunds) -> RefundView:
    """Have Xendit give back money that is due. A refund that was approved before is answered as it is."""
    return RefundView.model_validate(await approve_refund(db, wake, acting(user, request), refund_id))


@router.post("/refunds/{refund_id}/settle", responses=errors(403, 404, 409, 503), summary="Settle a refund by hand")
async def settle(request: Request, refund_id: PathId, body: Settlement, user: AdminUser, db: Db) -> RefundView:
    """Note that a person has given the money back; a second note changes nothing."""
    return RefundView.model_validate(await settle_refund(db, acting(user, request), refund_id, body.note))
