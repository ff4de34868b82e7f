"""The HTTP routes of orderfc."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field
from pydantic.config import JsonDict

from chassis.auth.tokens import CurrentUser
from chassis.errors import Invalid
from chassis.http.app import errors
from chassis.http.dependencies import Db, state
from chassis.ids import PathId, digits
from orderfc.errors import OrderNotFound
from orderfc.handler.schemas import STATUS_NAMES, CheckoutAnswer, CheckoutBody, OrderView
from orderfc.model import Status
from orderfc.repository import orders
from orderfc.usecase.checkout import Checkout, CheckoutRequest

router = APIRouter(prefix="/v1/orders", tags=["orders"])


Place = Annotated[Checkout, state("checkout")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Per user: the same key with the same body is ordered once",
        json_schema_extra={"minLength": 1, "maxLength": 255},
    ),
]


@router.post(
    "/checkout",
    status_code=201,
    responses={
        201: {
            "headers": {
                "Idempotent-Replayed": {
                    "description": "`true` when an earlier request with this key placed the order",
                    "schema": {"type": "string"},
                }
            }
        },
        **errors(404, 409, 422, 503),
    },
    summary="Place an order",
)
async def checkout(
    body: CheckoutBody,
    response: Response,
    user: CurrentUser,
    place: Place,
    idempotency_key: Key = None,
) -> CheckoutAnswer:
    """Check the basket with productfc and place the order. The customer is the token's user, never the body's."""
    outcome = await place(
        CheckoutRequest(
            user_id=user.user_id,
            items=[item.line() for item in body.items],
            payment_method=body.payment_method,
            shipping_address=body.shipping_address,
            key=_one_key(idempotency_key, body.idempotency_token),
            request_hash=body.request_hash(),
        )
    )
    if outcome.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return CheckoutAnswer(order_id=outcome.order_id)


def _one_key(header: str | None, token: str | None) -> str | None:
    if header is None:
        return token
    # The framework decodes headers as Latin-1; the text of a body is UTF-8.
    try:
        header = header.encode("latin-1").decode()
    except UnicodeError as error:
        raise Invalid("Idempotency-Key: must be UTF-8") from error
    if not 1 <= len(header) <= 255:
        raise Invalid("Idempotency-Key: must have 1 to 255 characters")
    if token is not None and token != header:
        raise Invalid("Idempotency-Key and idempotency_token are both given and differ")
    return header


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
    responses={
        200: {"headers": {"Link": {"description": "The next page, while there is one", "schema": {"type": "string"}}}},
    },
    summary="List the caller's orders, newest first",
)
async def history(
    request: Request, response: Response, user: CurrentUser, db: Db, query: Annotated[HistoryQuery, Query()]
) -> list[OrderView]:
    """List the caller's orders, newest first; the `Link` header leads to the next page."""
    status = None if query.status is None else _status(query.status)
    views = await orders.history(db, user.user_id, before_id=query.before_id, status=status, limit=query.limit + 1)
    page = [OrderView.model_validate_json(view) for view in views[: query.limit]]
    if len(views) > query.limit:
        parameters: dict[str, str | int] = {"limit": query.limit, "before_id": page[-1].order_id}
        if status is not None:
            parameters = {"status": status.wire, **parameters}
        response.headers["Link"] = f'<{request.url.path}?{urlencode(parameters)}>; rel="next"'
    return page


def _status(text: str) -> Status:
    for status in Status:
        if text in (status.wire, str(int(status))):
            return status
    raise Invalid(f"status: must be one of {', '.join(STATUS_NAMES)} or a number from 0 to {len(STATUS_NAMES) - 1}")


@router.get("/{order_id}", responses=errors(404), summary="Read one order")
async def order(order_id: PathId, user: CurrentUser, db: Db) -> OrderView:
    """Read an order of the caller; an administrator may read any."""
    view = await orders.view(db, order_id, None if user.is_admin else user.user_id)
    if view is None:
        raise OrderNotFound(order_id)
    return OrderView.model_validate_json(view)
