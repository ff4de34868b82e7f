"""The HTTP routes of paymentfc."""

from functools import partial
from typing import Annotated

from fastapi import Request, Security
from fastapi.responses import Response

from chassis.auth.tokens import CurrentUser
from chassis.grpc.users import UserClient
from chassis.http.app import errors
from chassis.http.body import KIB
from chassis.http.dependencies import Db, state
from chassis.http.routing import Router, accepts
from chassis.ids import PathId
from paymentfc.errors import InvoiceNotFound
from paymentfc.handler.callback_token import callback_token, check_token
from paymentfc.handler.schemas import (
    CallbackBody,
    InvoiceRequest,
    InvoiceView,
    PaymentView,
    Processed,
    RefundSum,
    read_callback,
)
from paymentfc.model.callback import Outcome
from paymentfc.pdf.drawings import Drawings
from paymentfc.repository import payments, refunds
from paymentfc.usecase.confirm_callbacks import ConfirmCallbacks
from paymentfc.usecase.describe_invoice import describe_invoice
from paymentfc.usecase.receive_callback import ReceiveCallback
from paymentfc.usecase.request_invoice import RequestInvoice

router = Router(prefix="/v1/payments", tags=["payments"])

GiveInvoice = Annotated[RequestInvoice, state("request_invoice")]
Receive = Annotated[ReceiveCallback, state("receive_callback")]
Confirmations = Annotated[ConfirmCallbacks, state("confirmations")]
Users = Annotated[UserClient, state("users")]
Pdfs = Annotated[Drawings, state("drawings")]
WebhookToken = Annotated[str, state("webhook_token")]

PDF = "application/pdf"
MAX_CALLBACK_BYTES = 256 * KIB
_PROCESSED = b'{"message":"webhook processed"}'


async def _past_dependencies(request: Request) -> Response:
    state = request.app.state
    return await webhook(request, state.webhook_token, state.receive_callback, state.confirmations)


@router.post(
    "/xendit/webhook",
    response_model=Processed,
    dependencies=[Security(callback_token)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": CallbackBody.model_json_schema()}},
        }
    },
    summary="Receive Xendit's callback",
)
@accepts(max_body=MAX_CALLBACK_BYTES, direct=_past_dependencies)
async def webhook(request: Request, token: WebhookToken, receive: Receive, confirmations: Confirmations) -> Response:
    """Receive an invoice callback of Xendit.

    200 means that the callback is stored. It takes effect when Xendit shows the same state of the invoice, which is
    read right afterwards.
    """
    check_token(request, token)
    callback, text = read_callback(await request.body())
    webhook_id = request.headers.get("webhook-id", "")[:255] or None
    outcome = await receive(callback, text, webhook_id)
    if outcome is Outcome.CONFIRMING:
        confirmations.wake.set()
    return Response(_PROCESSED, media_type="application/json")


@router.post("/invoice", responses=errors(404, 409, 503), summary="Get an invoice to pay")
async def invoice(body: InvoiceRequest, user: CurrentUser, give: GiveInvoice) -> InvoiceView:
    """Return the order's live invoice, or make one now."""
    return InvoiceView.of(await give(user, body.order_id))


@router.get(
    "/invoice/{order_id}/pdf",
    response_class=Response,
    responses={200: {"content": {PDF: {"schema": {"type": "string", "format": "binary"}}}}, **errors(404, 503)},
    summary="Download an invoice as PDF",
)
async def invoice_pdf(order_id: PathId, user: CurrentUser, db: Db, users: Users, drawings: Pdfs) -> Response:
    """Return the invoice of an order as a PDF, in every status, to its owner or an administrator."""
    payment = await payments.of_caller(db, order_id, user)
    if payment.invoice_id is None:
        raise InvoiceNotFound(order_id)
    pdf = await drawings.pdf(payment, partial(describe_invoice, db, users, payment))
    headers = {"Content-Disposition": f'attachment; filename="invoice_{order_id}.pdf"'}
    return Response(pdf, media_type=PDF, headers=headers)


@router.get("/{order_id}", responses=errors(404), summary="Read the payment of an order")
async def payment(order_id: PathId, user: CurrentUser, db: Db) -> PaymentView:
    """Return the payment of an order to its owner or an administrator."""
    found = await payments.of_caller(db, order_id, user)
    view = PaymentView.model_validate(found)
    # Customers ask again and again for one that is open, of which nothing is given back yet.
    refund = None if found.is_open else await refunds.of_order(db, order_id)
    return view.model_copy(update={"refund": refund and RefundSum.model_validate(refund)})
