"""The control API under /_sim: actions of the payer and of Xendit for tests and demos. It needs no key."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from xendit_sim.errors import UnknownInvoice, UnknownRefund, WrongState
from xendit_sim.faults import Faults
from xendit_sim.model import Status
from xendit_sim.simulator import Simulator

router = APIRouter(prefix="/_sim", tags=["control"])

Times = Annotated[int, Field(ge=1, le=1000)]


def _simulator(request: Request) -> Simulator:
    simulator: Simulator = request.app.state.simulator
    return simulator


Sim = Annotated[Simulator, Depends(_simulator)]


class Pay(BaseModel):
    """A payment: by default the amount of the invoice, once."""

    model_config = ConfigDict(extra="forbid", strict=True)

    amount: Annotated[int | float, Field(gt=0, lt=2**53, allow_inf_nan=False)] | None = None
    currency: Annotated[str, Field(pattern="^[A-Za-z]{1,16}$")] | None = None
    times: Times = 1
    after_expiry: bool = False


class Resend(BaseModel):
    """Repeated deliveries of the last webhook, or of the last one of a status; one after the other, or in parallel."""

    model_config = ConfigDict(extra="forbid", strict=True)

    times: Times = 1
    status: Annotated[Status | None, Field(strict=False)] = None
    parallel: bool = False


async def refuse_input(_: Request, error: Exception) -> Response:
    """Answer 422 with one sentence that names each invalid field; the input is not repeated."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    return JSONResponse({"detail": "; ".join(faults)}, 422)


class Refusals:
    """Turns refusals of the simulator into 404 and 409."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, UnknownInvoice):
            raise HTTPException(404, f"no invoice {error}")
        if isinstance(error, UnknownRefund):
            raise HTTPException(404, f"no refund {error}")
        if isinstance(error, WrongState):
            raise HTTPException(409, str(error))


@router.get("/invoices")
async def invoices(sim: Sim, external_id: str | None = None, status: Status | None = None) -> list[dict[str, Any]]:
    """List all invoices, newest first, each with all its payments."""
    sim.expire_due()
    matches = sim.store.find(external_id=external_id, statuses=[str(status)] if status else ())
    return [item.shown() | {"payments": [payment.fields() for payment in item.payments]} for item in matches]


@router.post("/invoices/{invoice_id}/pay")
async def pay(sim: Sim, invoice_id: str, body: Pay | None = None) -> dict[str, Any]:
    """Pay an invoice; the callback is sent in the background."""
    with Refusals():
        invoice, _ = sim.pay(invoice_id, **(body or Pay()).model_dump())
    return invoice.shown()


@router.post("/invoices/{invoice_id}/expire")
async def expire(sim: Sim, invoice_id: str) -> dict[str, Any]:
    """Expire a PENDING invoice."""
    with Refusals():
        return sim.expire(invoice_id).shown()


@router.post("/invoices/{invoice_id}/settle")
async def settle(sim: Sim, invoice_id: str) -> dict[str, Any]:
    """Mark a PAID invoice SETTLED."""
    with Refusals():
        return sim.settle(invoice_id).shown()


@router.post("/invoices/{invoice_id}/resend")
async def resend(sim: Sim, invoice_id: str, body: Resend | None = None) -> dict[str, Any]:
    """Deliver the last webhook again, in the background."""
    with Refusals():
        webhook = sim.resend(invoice_id, **dict(body or Resend()))
    return {"webhook_id": webhook.id, "status": webhook.status}


@router.get("/deliveries")
async def deliveries(sim: Sim, invoice_id: str | None = None) -> list[dict[str, Any]]:
    """List every attempt to deliver a webhook, oldest first."""
    return sim.store.deliveries(invoice_id)


@router.get("/faults")
async def faults(sim: Sim) -> Faults:
    """Show the switches; counts show what is left."""
    return sim.faults


@router.put("/faults")
async def set_faults(sim: Sim, body: Faults) -> Faults:
    """Set the switches. Those not named, or null, go back to their defaults: `{}` ends all faults."""
    sim.set_faults(body)
    return body


@router.post("/reset")
async def reset(sim: Sim) -> dict[str, str]:
    """Delete all data and reset the switches."""
    await sim.reset()
    return {"status": "reset"}


@router.get("/stats")
async def stats(sim: Sim) -> dict[str, Any]:
    """Count requests by route, invoices by status and by external id, webhooks by state."""
    sim.expire_due()
    by_status, by_external_id = sim.store.counts()
    return {
        "requests": dict(sim.requests),
        "invoices": {status: by_status.get(status, 0) for status in Status},
        "creates": by_external_id,
        "webhooks": sim.store.webhook_counts(),
    }
