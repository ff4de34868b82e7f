"""Xendit's invoice API, version 2: four calls, exact amounts, bounded answers, and two kinds of failure."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import structlog

from chassis import telemetry
from chassis.metrics import HttpCall
from paymentfc.client.invoice_answer import read_invoice
from paymentfc.errors import GatewayBusy, GatewayUnavailable, Refused, cleaned
from paymentfc.events import Line
from paymentfc.model.invoices import Invoice

if TYPE_CHECKING:
    from paymentfc.client.xendit_http import XenditHttp

log = structlog.get_logger(__name__)

# Method and path of each call; the path may go on with a query.
_INVOICES, _INVOICE, _EXPIRE = "/v2/invoices", "/v2/invoices/{invoice_id}", "/invoices/{invoice_id}/expire!"
REFUNDS, REFUND = "/refunds", "/refunds/{refund_id}"
CALLS = {
    "create": ("POST", _INVOICES),
    "find": ("GET", _INVOICES),
    "get": ("GET", _INVOICE),
    "expire": ("POST", _EXPIRE),
    "refund": ("POST", REFUNDS),
    "find refund": ("GET", REFUNDS),
    "get refund": ("GET", REFUND),
}
# The most items that Xendit accepts. An invoice with more lines goes without them; its total is the same.
MAX_ITEMS = 75
MAX_NAME = 256
# The most that one list has; the retries of an invoice within INVOICE_GIVE_UP_S make fewer.
MAX_LISTED = 100
MAX_CODE, MAX_MESSAGE = 64, 500


@dataclass(frozen=True, slots=True)
class Draft:
    """An invoice to be made; `duration_s` in seconds. Payer and lines may be left out."""

    external_id: str
    amount: Decimal
    currency: str
    duration_s: int
    payer_email: str | None
    lines: Sequence[Line] = ()


class Xendit:
    """Calls Xendit with Basic authentication, within 5 s for each phase of a call and 10 s for the whole call.

    Raises Refused for a refusal (4xx except 429), GatewayUnavailable for everything that leaves the result open, an
    answer over 1 MiB included. With `allow_http` an invoice's address may be http, as the simulator's is.
    """

    def __init__(self, base_url: str, secret_key: str, *, allow_http: bool = False) -> None:
        self._schemes = ("https", "http") if allow_http else ("https",)
        self._base_url, self._secret_key = base_url, secret_key
        self._http: XenditHttp | None = None
        self._calls = {name: HttpCall(base_url, *call) for name, call in CALLS.items()}

    async def create(self, draft: Draft) -> Invoice:
        """Make an invoice. It may exist even when this raises GatewayUnavailable."""
        answer = await self.call("create", _INVOICES, body=_body(draft))
        invoice = read_invoice(answer, self._schemes)
        if invoice.external_id != draft.external_id:
            raise GatewayUnavailable("Xendit answers with an invoice of another order")
        return invoice

    async def find(self, external_id: str) -> list[Invoice]:
        """Return the newest 100 invoices with this external id, newest first: Xendit does not keep it unique."""
        query = urlencode({"external_id": external_id, "limit": MAX_LISTED})
        try:
            answer = await self.call("find", f"{_INVOICES}?{query}")
        except Refused as error:
            # Undocumented for a list without a match; a single invoice is answered like this.
            if error.no_such_invoice:
                return []
            raise
        if not isinstance(answer, list):
            raise GatewayUnavailable("Xendit's list of invoices is not a list")
        # Those of other orders need not be readable.
        own = (one for one in answer if not isinstance(one, dict) or one.get("external_id") == external_id)
        return [read_invoice(one, self._schemes) for one in own]

    async def get(self, invoice_id: str) -> Invoice:
        path = _INVOICE.format(invoice_id=quote(invoice_id, safe=""))
        return self._asked(await self.call("get", path), invoice_id)

    async def expire(self, invoice_id: str) -> Invoice:
        """Expire a PENDING invoice. After an error its status must be read: expiry races with payment."""
        path = _EXPIRE.format(invoice_id=quote(invoice_id, safe=""))
        return self._asked(await self.call("expire", path), invoice_id)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def call(
        self, name: str, target: str, body: bytes | None = None, more: Mapping[str, str] | None = None
    ) -> Any:
        """Make one of `CALLS`, with `more` headers, and return the JSON of its answer."""
        method, template = CALLS[name]
        calls, started = self._calls[name], time.perf_counter()
        try:
            with telemetry.client_span(method, template, self._base_url):
                headers = telemetry.inject({"content-type": "application/json", **(more or {})} if body else {})
                http = self._http or await self.opened()
                status, content = await http.send(method, target, body, headers)
                telemetry.set_http_status(status)
        except GatewayUnavailable:
            calls.ended(started, 0, "unreadable")
            raise
        except ConnectionError as error:
            calls.ended(started, 0, str(error))
            raise GatewayUnavailable(f"Xendit does not answer ({error})") from error
        success = 200 <= status < 300
        try:
            parsed = json.loads(content, parse_float=Decimal, parse_int=Decimal) if content else None
            failure = None if success else _failure(status, parsed)
        except (ValueError, RecursionError, ArithmeticError) as error:
            calls.ended(started, status, "unreadable")
            if success:
                raise GatewayUnavailable("Xendit's answer is not JSON") from error
            message = content[:200].decode(errors="replace")
            raise _failure(status, {"error_code": "UNREADABLE", "message": message}) from error
        calls.ended(started, status)
        if failure is not None:
            raise failure
        return parsed

    async def opened(self) -> "XenditHttp":
        """Return the connections, which belong to the event loop that calls first. Their first use imports aiohttp."""
        # In a thread, because it takes longer than the event loop may be held up.
        module = await asyncio.to_thread(import_module, "paymentfc.client.xendit_http")
        # Another call may have come first meanwhile.
        self._http = self._http or module.XenditHttp(self._base_url, self._secret_key)
        return self._http

    def _asked(self, body: object, invoice_id: str) -> Invoice:
        invoice = read_invoice(body, self._schemes)
        if invoice.id != invoice_id:
            raise GatewayUnavailable("Xendit answers with another invoice")
        return invoice


def _failure(status: int, body: object) -> Exception:
    """Return Refused or GatewayUnavailable; the body may lack any of its fields."""
    fields = body if isinstance(body, dict) else {}
    code = cleaned(str(fields.get("error_code") or "UNKNOWN"))[:MAX_CODE]
    message = str(fields.get("message") or fields.get("error_message") or "no message")[:MAX_MESSAGE]
    if details := fields.get("errors"):
        message = f"{message} {json.dumps(details, default=str)[:200]}"
    if 400 <= status < 500 and status != 429:
        return Refused(status, code, message)
    kind = GatewayBusy if status == 429 else GatewayUnavailable
    return kind(f"Xendit answers {status} {code}")


def _body(draft: Draft) -> bytes:
    """Write the JSON of a create call: whole amounts are sent as integers."""
    body: dict[str, Any] = {
        "external_id": draft.external_id,
        "amount": number(draft.amount),
        "currency": draft.currency,
        "description": f"Payment of {draft.external_id}",
        "invoice_duration": draft.duration_s,
    }
    if draft.payer_email:
        body |= {"payer_email": draft.payer_email, "customer": {"email": draft.payer_email}}
    if 0 < len(draft.lines) <= MAX_ITEMS and all(line.price is not None for line in draft.lines):
        body["items"] = [
            {
                "name": (line.name or f"Product {line.product_id}")[:MAX_NAME],
                "price": number(line.price or Decimal(0)),
                "quantity": line.quantity,
                "reference_id": str(line.product_id),
            }
            for line in draft.lines
        ]
    return json.dumps(body).encode()


def number(amount: Decimal) -> int | float:
    """Return the JSON number of an amount; the shortest text of a float has the same digits."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)
