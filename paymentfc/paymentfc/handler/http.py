"""The HTTP routes of paymentfc."""

import hmac
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, Security
from fastapi.responses import Response
from fastapi.security import APIKeyHeader

from chassis.auth.tokens import CurrentUser
from chassis.db.database import Database
from chassis.http.app import errors
from chassis.ids import PathId
from paymentfc.errors import InvalidCallbackToken, PaymentNotFound
from paymentfc.handler.schemas import CallbackBody, InvoiceRequest, InvoiceView, PaymentView, Processed, read_callback
from paymentfc.pdf.document import render
from paymentfc.repository import payments
from paymentfc.usecase.describe_invoice import DescribeInvoice
from paymentfc.usecase.receive_callback import ReceiveCallback
from paymentfc.usecase.request_invoice import RequestInvoice

router = APIRouter(prefix="/v1/payments", tags=["payments"])

PDF = "application/pdf"
TOKEN_HEADER = b"x-callback-token"
# Only for the document: the header's own bytes are compared, see _same.
_callback_token = APIKeyHeader(
    name=TOKEN_HEADER.decode(),
    scheme_name="callback",
    auto_error=False,
    description="What Xendit sends along with a callback, see XENDIT_WEBHOOK_TOKEN",
)
_PROCESSED = b'{"message":"webhook processed"}'


async def _db(request: Request) -> Database:
    return cast("Database", request.app.state.db)


async def _request_invoice(request: Request) -> RequestInvoice:
    return cast("RequestInvoice", request.app.state.request_invoice)


async def _describe_invoice(request: Request) -> DescribeInvoice:
    return cast("DescribeInvoice", request.app.state.describe_invoice)


def _given_token(request: Request) -> bytes | None:
    """Give the header's own bytes: a token outside ASCII must be compared as it was sent."""
    return next((value for name, value in request.headers.raw if name == TOKEN_HEADER), None)


def _same(given: bytes | None, expected: str) -> bool:
    """Compare in constant time; an empty expectation matches nothing."""
    return bool(expected) and hmac.compare_digest(given or b"", expected.encode())


@router.post(
    "/xendit/webhook",
    response_model=Processed,
    dependencies=[Security(_callback_token)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": CallbackBody.model_json_schema()}},
        }
    },
    summary="Receive Xendit's callback",
)
async def webhook(request: Request) -> Response:
    """Receive Xendit's invoice callback: 200 once its outcome is durable, whatever it is."""
    if not _same(_given_token(request), request.app.state.webhook_token):
        raise InvalidCallbackToken("invalid callback token")
    callback, text = read_callback(await request.body())
    receive: ReceiveCallback = request.app.state.receive_callback
    await receive(callback, text, request.headers.get("webhook-id", "")[:255] or None)
    return Response(_PROCESSED, media_type="application/json")


@router.post("/invoice", responses=errors(404, 409, 503), summary="Get an invoice to pay")
async def invoice(
    body: InvoiceRequest, user: CurrentUser, request_invoice: Annotated[RequestInvoice, Depends(_request_invoice)]
) -> InvoiceView:
    """Give the order's live invoice, or make it now."""
    return InvoiceView.of(await request_invoice(body.order_id, user_id=user.user_id, admin=user.is_admin))


@router.get(
    "/invoice/{order_id}/pdf",
    response_class=Response,
    responses={200: {"content": {PDF: {"schema": {"type": "string", "format": "binary"}}}}, **errors(404, 503)},
    summary="Download an invoice as PDF",
)
async def invoice_pdf(
    order_id: PathId, user: CurrentUser, describe: Annotated[DescribeInvoice, Depends(_describe_invoice)]
) -> Response:
    """Give the invoice of an order as a PDF, in every status, to its owner or an administrator."""
    document = await describe(order_id, user_id=user.user_id, admin=user.is_admin)
    headers = {"Content-Disposition": f'attachment; filename="invoice_{order_id}.pdf"'}
    return Response(await render(document), media_type=PDF, headers=headers)


@router.get("/{order_id}", responses=errors(404), summary="Read the payment of an order")
async def payment(order_id: PathId, user: CurrentUser, db: Annotated[Database, Depends(_db)]) -> PaymentView:
    """Show the payment of an order to its owner or an administrator."""
    found = await payments.by_order(db, order_id)
    if found is None or not (user.is_admin or found.user_id == user.user_id):
        raise PaymentNotFound(f"there is no payment for order {order_id}")
    return PaymentView.model_validate(found)
