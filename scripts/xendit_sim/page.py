"""The pay page behind `invoice_url`: server-rendered, no scripts, one form for each thing a payer can do."""

import math
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from xendit_sim.errors import UnknownInvoice, WrongState
from xendit_sim.model import MERCHANT, Invoice, Number, Status, parse_stamp
from xendit_sim.simulator import Simulator

router = APIRouter(include_in_schema=False)

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
MAX_FORM = 4096
SHOWN_TRIES = 8


def money(amount: Number, currency: str) -> str:
    """Write an amount as people do: Rp510.000 for rupiah, otherwise 1,234.50 and the currency."""
    if currency == "IDR":
        return "Rp" + f"{amount:,}".replace(",", " ").replace(".", ",").replace(" ", ".")
    return f"{amount:,.2f} {currency}"


def web_link(url: object) -> str | None:
    """Return a link if it is http or https, else None."""
    try:
        return url if isinstance(url, str) and urlsplit(url).scheme in ("http", "https") else None
    except ValueError:
        return None


def _number(value: object) -> Number:
    return value if isinstance(value, int | float) else 0


def _wrong_amount(amount: Number) -> Number:
    """Propose a positive amount that differs from the invoice's."""
    return amount - 1 if amount > 1 else amount + 1


def _view(simulator: Simulator, invoice: Invoice, note: str | None) -> dict[str, Any]:
    paid = invoice.payments[0] if invoice.payments else None
    back = "failure_redirect_url" if invoice.status is Status.EXPIRED else "success_redirect_url"
    items = [item for item in invoice.given.get("items", []) if isinstance(item, dict)]
    return {
        "invoice": invoice,
        "merchant": MERCHANT,
        "description": invoice.given.get("description"),
        "amount": money(invoice.amount, invoice.currency),
        "wrong": _wrong_amount(invoice.amount),
        "expiry": parse_stamp(invoice.expiry_date).strftime("%d %b %Y, %H:%M:%S UTC"),
        "items": [(i["name"], i["quantity"], money(_number(i["price"]), invoice.currency)) for i in items],
        "paid": (money(paid.amount, paid.currency), parse_stamp(paid.paid_at).strftime("%d %b %Y, %H:%M:%S UTC"))
        if paid
        else None,
        "payments": len(invoice.payments),
        "note": note,
        "back": None if invoice.status is Status.PENDING else web_link(invoice.given.get(back)),
        **_callbacks(simulator, invoice.id),
    }


def _callbacks(simulator: Simulator, invoice_id: str) -> dict[str, Any]:
    """Return the last attempts as (status, attempt, result), and the number of pending callbacks."""
    tries = simulator.store.deliveries(invoice_id)[-SHOWN_TRIES:]
    return {
        "tries": [(item["status"], _which(item), _result(item)) for item in tries],
        "waiting": sum(webhook.state == "pending" for webhook in simulator.store.webhooks(invoice_id)),
    }


def _which(item: dict[str, Any]) -> str:
    return {"first": "first try", "retry": f"retry {item['attempt'] - 1}"}.get(item["kind"], str(item["kind"]))


def _result(item: dict[str, Any]) -> str:
    return f"answered {item['status_code']}" if item["status_code"] else str(item["error"] or item["outcome"])


def _page(name: str, status: int, **values: Any) -> Response:
    return HTMLResponse(_PAGES.get_template(name).render(**values), status, HEADERS)


@router.get("/web/{invoice_id}")
async def show(request: Request, invoice_id: str) -> Response:
    """Show an invoice and its buttons."""
    simulator: Simulator = request.app.state.simulator
    try:
        invoice = simulator.get(invoice_id)
    except UnknownInvoice:
        return _page("missing.html", 404, invoice_id=invoice_id)
    return _page("invoice.html", 200, **_view(simulator, invoice, None))


@router.post("/web/{invoice_id}/{action}")
async def act(request: Request, invoice_id: str, action: str) -> Response:
    """Run the action of a button and redirect to the page; a refusal shows the page with the reason."""
    simulator: Simulator = request.app.state.simulator
    try:
        if action == "pay":
            simulator.pay(invoice_id)
        elif action == "pay-wrong":
            simulator.pay(invoice_id, amount=_form_amount((await request.body())[:MAX_FORM]))
        elif action == "pay-twice":
            simulator.pay(invoice_id, times=2)
        elif action == "pay-late":
            simulator.pay(invoice_id, after_expiry=True)
        elif action == "expire":
            simulator.expire(invoice_id)
        else:
            return _page("missing.html", 404, invoice_id=invoice_id)
    except UnknownInvoice:
        return _page("missing.html", 404, invoice_id=invoice_id)
    except (WrongState, ValueError) as error:
        status = 409 if isinstance(error, WrongState) else 400
        return _page("invoice.html", status, **_view(simulator, simulator.get(invoice_id), f"Not done: {error}."))
    return RedirectResponse(f"/web/{invoice_id}", 303)


def _form_amount(body: bytes) -> Number:
    """Read the form's amount. Raises ValueError with a sentence."""
    texts = parse_qs(body.decode("utf-8", "replace")).get("amount", [""])
    try:
        amount = float(texts[0])
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and 0 < amount < 2**53):
        raise ValueError("the amount must be a number above 0")
    return int(amount) if amount.is_integer() else amount
