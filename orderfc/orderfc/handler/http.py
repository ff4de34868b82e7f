"""The HTTP routes of orderfc."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Header, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic.config import JsonDict

from chassis.auth.tokens import CurrentUser, caller
from chassis.errors import Invalid
from chassis.http.app import errors
from chassis.http.dependencies import Db, state
from chassis.http.keys import idempotency_key
from chassis.http.routing import Router, accepts
from chassis.ids import PathId, digits
from orderfc.errors import OrderNotFound
from orderfc.handler.schemas import STATUS_NAMES, CancelBody, CheckoutAnswer, CheckoutBody, OrderView
from orderfc.model import Status
from orderfc.repository import orders
from orderfc.usecase.cancel_order import cancel_order
from orderfc.usecase.checkout import Checkout, CheckoutRequest

router = Router(prefix="/v1/orders", tags=["orders"])


Place = Annotated[Checkout, state("checkout")]
# For the OpenAPI document only: `idempotency_key` reads all headers of this name.
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Per user: the same key with the same body is ordered once",
        json_schema_extra={"minLength": 1, "maxLength": 255},
    ),
]


async def _usual_checkout(request: Request) -> Response | None:
    """Fast path for a valid body. Returns None for an invalid one, so that FastAPI answers 422."""
    if not await request.body():
        return None
    content = await request.json()
    user = await caller(request)
    try:
        body = CheckoutBody.model_validate(content)
    except ValidationError:
        return None
    return await checkout(body, user, request.app.state.checkout, request)


@router.post(
    "/checkout",
    status_code=201,
    response_model=CheckoutAnswer,
    responses={
        201: {
            "headers": {
                "Idempotent-Replayed": {
                    "description": "`true` when an earlier request with this key placed the order",
                    "schema": {"type": "string"},
                }
            }
        },
        **errors(404, 409, 422, 429, 503),
    },
    summary="Place an order",
)
@accepts(direct=_usual_checkout)
async def checkout(
    body: CheckoutBody,
    user: CurrentUser,
    place: Place,
    request: Request,
    _: Key = None,
) -> Response:
    """Check the basket with productfc and place the order. The customer is the token's user, never the body's."""
    key = _one_key(request, body.idempotency_token)
    outcome = await place(
        CheckoutRequest(
            user_id=user.user_id,
            items=[item.line() for item in body.items],
            payment_method=body.payment_method,
            shipping_address=body.shipping_address,
            key=key,
            request_hash=b"" if key is None else body.request_hash(),
        )
    )
    headers = {"Idempotent-Replayed": "true"} if outcome.replayed else None
    content = CheckoutAnswer(order_id=outcome.order_id).model_dump_json()
    return Response(content, 201, headers, media_type="application/json")


def _one_key(request: Request, token: str | None) -> str | None:
    """Return the key of header or body. Raises Invalid if two keys differ, or if a value is not a valid key."""
    key = idempotency_key(request)
    if key is None:
        return token
    if token is not None and token != key:
        raise Invalid("Idempotency-Key and idempotency_token are both given and differ")
    return key


STATUSES: JsonDict = {"enum": [*STATUS_NAMES, *(str(int(status)) for status in Status)]}


class HistoryQuery(BaseModel):
    """The query of GET /v1/orders/history."""

    status: Annotated[str, Field(json_schema_extra=STATUSES)] | None = Field(
        None, description="A status by its name or its number"
    )
    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(digits)] = 20
    before_id: PathId | None = Field(None, description="Only orders older than this one")


@router.get(
    "/history",
    response_model=list[OrderView],
    responses={
        200: {"headers": {"Link": {"description": "The next page, while there is one", "schema": {"type": "string"}}}},
    },
    summary="List the caller's orders, newest first",
)
async def history(request: Request, user: CurrentUser, db: Db, query: Annotated[HistoryQuery, Query()]) -> Response:
    """List the caller's orders, newest first; the `Link` header leads to the next page."""
    status = None if query.status is None else _status(query.status)
    found = await orders.history(db, user.user_id, before_id=query.before_id, status=status, limit=query.limit + 1)
    page = found[: query.limit]
    headers = {}
    if len(found) > query.limit:
        parameters: dict[str, str | int] = {"limit": query.limit, "before_id": page[-1][0]}
        if status is not None:
            parameters = {"status": status.wire, **parameters}
        headers["Link"] = f'<{request.url.path}?{urlencode(parameters)}>; rel="next"'
    return _json(f"[{','.join(view for _, view in page)}]", headers)


def _json(text: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text, media_type="application/json", headers=headers)


def _status(text: str) -> Status:
    for status in Status:
        if text in (status.wire, str(int(status))):
            return status
    raise Invalid(f"status: must be one of {', '.join(STATUS_NAMES)} or a number from 0 to {len(STATUS_NAMES) - 1}")


@router.get("/{order_id}", response_model=OrderView, responses=errors(404), summary="Read one order")
async def order(order_id: PathId, user: CurrentUser, db: Db) -> Response:
    """Read an order of the caller; an administrator may read any."""
    view = await orders.view(db, order_id, None if user.is_admin else user.user_id)
    if view is None:
        raise OrderNotFound(order_id)
    return _json(view)


@router.post(
    "/{order_id}/cancel", response_model=OrderView, responses=errors(404, 409, 503), summary="Cancel an unpaid order"
)
async def cancel(order_id: PathId, body: CancelBody, user: CurrentUser, db: Db) -> Response:
    """Cancel an order of the caller that is not paid; an administrator may cancel any.

    An order that is cancelled already is answered as it is. A completed or failed one is refused.
    """
    owner = None if user.is_admin else user.user_id
    return _json(await cancel_order(db, order_id, owner, body.reason, by=user.user_id))
