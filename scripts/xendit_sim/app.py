"""The simulated API: authentication, rate headers, error bodies, and the operations on invoices and refunds."""

import asyncio
import base64
import binascii
import hmac
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from xendit_sim import control, page, refund_api
from xendit_sim.browsers import OwnPagesOnly
from xendit_sim.config import Settings
from xendit_sim.errors import ApiError, UnknownInvoice, WrongState
from xendit_sim.model import Clock, utc_now
from xendit_sim.query import read_query
from xendit_sim.simulator import Simulator
from xendit_sim.validation import read_draft, read_json
from xendit_sim.webhooks import Sleep

Handler = Callable[[Simulator, Request], Awaitable[Any]]


def _json(body: object, status: int = 200, padding: int = 0) -> Response:
    return Response(json.dumps(body) + " " * padding, status, media_type="application/json")


def _key_of(request: Request) -> str | None:
    """Return the user name of Basic authentication with an empty password."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return key if colon and not password else None


class Api:
    """Wraps an operation with what all of them share: authentication, rate window, counts, headers, error bodies."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def route(self, name: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Make an endpoint that is counted as `name`."""

        async def endpoint(request: Request) -> Response:
            self._simulator.requests[name] += 1
            headers, allowed = self._simulator.rates.count(name, self._simulator.faults.rate_limit)
            try:
                key = _key_of(request)
                if key is None or not hmac.compare_digest(key.encode(), self._simulator.settings.key.encode()):
                    raise ApiError.of_status(401)
                if not allowed:
                    raise ApiError.of_status(429)
                response = _json(await handler(self._simulator, request), 200, self._simulator.faults.answer_padding)
            except ApiError as error:
                response = _json(
                    error.body(with_message=not self._simulator.faults.error_without_message), error.status
                )
            response.headers.update(headers | {"Request-ID": uuid.uuid4().hex})
            return response

        return endpoint


async def _create(simulator: Simulator, request: Request) -> dict[str, Any]:
    if status := simulator.faults.status_of("create_status"):
        raise ApiError.of_status(status)
    draft = read_draft(read_json(await request.body()))
    if simulator.faults.refuse_email and ("payer_email" in draft.given or "email" in draft.given.get("customer", {})):
        raise ApiError(400, "EMAIL_FORMAT_ERROR", "The email format is invalid")
    invoice = simulator.create(draft)
    shown = invoice.shown()  # as created: without a payment that arrives before this answer
    if simulator.faults.auto_pay or simulator.faults.webhook_before_response:
        _, tried = simulator.pay(invoice.id)
        if simulator.faults.webhook_before_response:
            await asyncio.gather(*(event.wait() for event in tried))
    if delay := simulator.faults.create_delay_s:
        await asyncio.sleep(delay)
    if simulator.faults.takes_create_failure():
        raise ApiError.of_status(500)
    return simulator.faults.with_unknown_fields(shown)


async def _get(simulator: Simulator, request: Request) -> dict[str, Any]:
    if status := simulator.faults.status_of("get_status"):
        raise ApiError.of_status(status)
    invoice_id = request.path_params["invoice_id"]
    try:
        return simulator.faults.with_unknown_fields(simulator.get(invoice_id).shown())
    except UnknownInvoice:
        raise ApiError(404, "INVOICE_NOT_FOUND_ERROR", f"Could not find invoice by id {invoice_id}") from None


async def _list(simulator: Simulator, request: Request) -> list[dict[str, Any]]:
    if status := simulator.faults.status_of("list_status"):
        raise ApiError.of_status(status)
    query = read_query(request.query_params)
    simulator.expire_due()
    invoices = simulator.store.find(
        external_id=query.external_id,
        statuses=query.statuses,
        periods=query.periods,
        after=query.after,
        limit=query.limit,
    )
    return [simulator.faults.with_unknown_fields(invoice.shown()) for invoice in invoices]


async def _expire(simulator: Simulator, request: Request) -> dict[str, Any]:
    if status := simulator.faults.status_of("expire_status"):
        raise ApiError.of_status(status)
    invoice_id = request.path_params["invoice_id"]
    try:
        return simulator.faults.with_unknown_fields(simulator.expire(invoice_id).shown())
    except (UnknownInvoice, WrongState):
        message = f"Could not find and update PENDING invoice {invoice_id}"
        raise ApiError(404, "INVOICE_NOT_FOUND_ERROR", message) from None


async def _ping(_: Request) -> Response:
    return _json({"message": "pong"})


def create_app(settings: Settings, *, clock: Clock = utc_now, sleep: Sleep = asyncio.sleep) -> FastAPI:
    """Build the simulator; tests inject the clock of invoices and the sleep between deliveries."""
    simulator = Simulator(settings, clock=clock, sleep=sleep)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        simulator.webhooks.resume()
        expiry = asyncio.create_task(simulator.run_expiry())
        yield
        expiry.cancel()
        await asyncio.gather(expiry, return_exceptions=True)
        await simulator.close()

    app = FastAPI(title="Xendit simulator", lifespan=lifespan)
    app.state.simulator = simulator
    api = Api(simulator)
    for path in ("/v2/invoices", "/v2/invoices/"):
        app.add_route(path, api.route("POST /v2/invoices", _create), methods=["POST"])
        app.add_route(path, api.route("GET /v2/invoices", _list), methods=["GET"])
    app.add_route("/v2/invoices/{invoice_id}", api.route("GET /v2/invoices/{id}", _get), methods=["GET"])
    app.add_route("/invoices/{invoice_id}/expire!", api.route("POST /invoices/{id}/expire!", _expire), methods=["POST"])
    for path in ("/refunds", "/refunds/"):
        app.add_route(path, api.route("POST /refunds", refund_api.create_refund), methods=["POST"])
        app.add_route(path, api.route("GET /refunds", refund_api.list_refunds), methods=["GET"])
    app.add_route("/refunds/{refund_id}", api.route("GET /refunds/{id}", refund_api.get_refund), methods=["GET"])
    app.add_route("/ping", _ping, methods=["GET"])
    app.add_exception_handler(RequestValidationError, control.refuse_input)
    app.add_middleware(OwnPagesOnly, hosts=settings.allowed_hosts)
    app.include_router(control.router)
    app.include_router(refund_api.router)
    app.include_router(page.router)
    return app
