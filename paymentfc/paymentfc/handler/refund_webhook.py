"""The route of Xendit's callbacks about refunds."""

from typing import Any

from fastapi import Request, Security

from chassis.http.dependencies import Db
from chassis.http.routing import Router, accepts
from paymentfc.handler.callback_token import callback_token, check_token
from paymentfc.handler.http import MAX_CALLBACK_BYTES, WebhookToken
from paymentfc.handler.refund_schemas import RefundCallbackBody, WakeRefunds, read_refund_callback
from paymentfc.handler.schemas import Processed
from paymentfc.usecase.receive_refund_callback import receive_refund_callback


def _schema() -> dict[str, Any]:
    """Return the schema of the body with the refund in its place: the document has no other schemas of callbacks."""
    schema = RefundCallbackBody.model_json_schema()
    schema["properties"]["data"] = schema.pop("$defs")["RefundData"]
    return schema


router = Router(prefix="/v1/payments", tags=["refunds"])


@router.post(
    "/xendit/refund-webhook",
    dependencies=[Security(callback_token)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _schema()}},
        }
    },
    summary="Receive Xendit's callback about a refund",
)
@accepts(max_body=MAX_CALLBACK_BYTES)
async def refund_webhook(request: Request, token: WebhookToken, db: Db, wake: WakeRefunds) -> Processed:
    """Receive a refund callback of Xendit.

    200 means that the callback is stored. The refund is read at Xendit right afterwards, and ends as it is there.
    """
    check_token(request, token)
    callback, text = read_refund_callback(await request.body())
    webhook_id = request.headers.get("webhook-id", "")[:255] or None
    if await receive_refund_callback(db, callback, text, webhook_id):
        wake.set()
    return Processed()
