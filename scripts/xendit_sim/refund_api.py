"""The refund operations of the simulated API, and their part of the control API."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from xendit_sim import refunds
from xendit_sim.control import Refusals, Resend, Sim
from xendit_sim.errors import ApiError, UnknownRefund
from xendit_sim.refund_model import Refund, RefundDraft, RefundStatus
from xendit_sim.simulator import Simulator
from xendit_sim.validation import Checks, read_json

router = APIRouter(prefix="/_sim", tags=["control"])

LISTED = 100


class End(BaseModel):
    """How a pending refund ends."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Literal["SUCCEEDED", "FAILED"] = "SUCCEEDED"
    failure_code: Annotated[str, Field(pattern="^[A-Z_]{1,64}$")] | None = None


def _draft(body: object) -> RefundDraft:
    checks = Checks(body if isinstance(body, dict) else {})
    if not isinstance(body, dict):
        checks.fail("value", "must be an object", "object.base")
    for name in ("invoice_id", "currency", "reason"):
        checks.text(name, 1, 255, required=True)
    checks.text("reference_id", 1, 255)
    checks.number("amount", required=True, greater=0)
    checks.done()
    assert isinstance(body, dict)
    amount = float(body["amount"])
    return RefundDraft(
        invoice_id=body["invoice_id"],
        amount=int(amount) if amount.is_integer() else amount,
        currency=body["currency"],
        reason=body["reason"],
        reference_id=body.get("reference_id"),
    )


async def create_refund(simulator: Simulator, request: Request) -> dict[str, Any]:
    if status := simulator.faults.status_of("refund_status"):
        raise ApiError.of_status(status)
    draft = _draft(read_json(await request.body()))
    refund = refunds.create(simulator, draft, request.headers.get("idempotency-key"))
    if delay := simulator.faults.refund_delay_s:
        await asyncio.sleep(delay)
    if simulator.faults.takes_refund_failure():
        raise ApiError.of_status(500)
    return refunds.shown(refund, simulator.faults)


async def get_refund(simulator: Simulator, request: Request) -> dict[str, Any]:
    if status := simulator.faults.status_of("refund_get_status"):
        raise ApiError.of_status(status)
    try:
        return refunds.shown(refunds.get(simulator, request.path_params["refund_id"]), simulator.faults)
    except UnknownRefund as error:
        raise ApiError(404, "DATA_NOT_FOUND", f"Could not find refund {error}") from None


async def list_refunds(simulator: Simulator, request: Request) -> dict[str, Any]:
    """List refunds, newest first, of one invoice or of all."""
    if status := simulator.faults.status_of("refund_get_status"):
        raise ApiError.of_status(status)
    found = simulator.store.refunds(request.query_params.get("invoice_id"))[::-1]
    return {"data": [refunds.shown(refund, simulator.faults) for refund in found[:LISTED]], "has_more": False}


@router.get("/refunds")
async def all_refunds(sim: Sim, invoice_id: str | None = None) -> list[dict[str, Any]]:
    """List all refunds, oldest first, each with its idempotency key and the order's external id."""
    return [_all_of(refund) for refund in sim.store.refunds(invoice_id)]


def _all_of(refund: Refund) -> dict[str, Any]:
    return refund.shown() | {"external_id": refund.external_id, "idempotency_key": refund.key}


@router.post("/refunds/{refund_id}/end")
async def end(sim: Sim, refund_id: str, body: End | None = None) -> dict[str, Any]:
    """End a pending refund; its callback is sent in the background."""
    asked = body or End()
    with Refusals():
        return refunds.end(sim, refund_id, RefundStatus(asked.status), asked.failure_code).shown()


@router.post("/refunds/{refund_id}/resend")
async def resend(sim: Sim, refund_id: str, body: Resend | None = None) -> dict[str, str]:
    """Deliver the last callback of a refund again, in the background."""
    asked = body or Resend()
    with Refusals():
        refunds.resend(sim, refund_id, times=asked.times, parallel=asked.parallel)
    return {"refund_id": refund_id}
