"""Xendit's invoice API, version 2: four calls, exact amounts, and two kinds of failure."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx2
import structlog
from prometheus_client import Counter

from chassis import telemetry
from paymentfc.errors import GatewayBusy, GatewayUnavailable, Refused, cleaned
from paymentfc.events import Line
from paymentfc.model.invoices import Invoice

log = structlog.get_logger(__name__)

CALLS = Counter("xendit_calls_total", "Calls of Xendit by outcome", ["call", "outcome"])

TIMEOUT_S = 5.0
CALL_LIMIT_S = 10.0
# The most items that Xendit accepts. An invoice with more lines goes without them; its total is the same.
MAX_ITEMS = 75
MAX_NAME = 256


@dataclass(frozen=True, slots=True)
class Draft:
    """An invoice to be made; `duration_s` in seconds."""

    external_id: str
    amount: Decimal
    currency: str
    duration_s: int
    payer_email: str | None
    lines: Sequence[Line] = ()


class Xendit:
    """Calls Xendit with Basic authentication, within 5 s for each phase of a call and 10 s for the whole call.

    Raises Refused for a refusal (4xx except 429), GatewayUnavailable for everything that leaves the result open.
    """

    def __init__(self, base_url: str, secret_key: str) -> None:
        self._client = httpx2.AsyncClient(
            base_url=base_url.rstrip("/"),
            auth=httpx2.BasicAuth(secret_key, ""),
            timeout=TIMEOUT_S,
            limits=httpx2.Limits(max_connections=32, max_keepalive_connections=16),
            headers={"accept": "application/json"},
        )

    async def create(self, draft: Draft) -> Invoice:
        """Make an invoice. It may exist even when this raises GatewayUnavailable."""
        return _invoice(await self._call("create", "POST", "/v2/invoices", body=_body(draft)))

    async def find(self, external_id: str) -> list[Invoice]:
        """Return all invoices with this external id, newest first: Xendit does not keep it unique."""
        try:
            answer = await self._call("find", "GET", "/v2/invoices", params={"external_id": external_id})
        except Refused as error:
            # Undocumented for a list without a match; a single invoice is answered like this.
            if error.no_such_invoice:
                return []
            raise
        if not isinstance(answer, list):
            raise GatewayUnavailable("Xendit's list of invoices is not a list")
        return [invoice for invoice in map(_invoice, answer) if invoice.external_id == external_id]

    async def get(self, invoice_id: str) -> Invoice:
        return _invoice(await self._call("get", "GET", f"/v2/invoices/{quote(invoice_id, safe='')}"))

    async def expire(self, invoice_id: str) -> Invoice:
        """Expire a PENDING invoice. After an error its status must be read: expiry races with payment."""
        return _invoice(await self._call("expire", "POST", f"/invoices/{quote(invoice_id, safe='')}/expire!"))

    async def close(self) -> None:
        await self._client.aclose()

    async def _call(
        self, name: str, method: str, path: str, *, body: bytes | None = None, params: dict[str, str] | None = None
    ) -> Any:
        headers = telemetry.inject({"content-type": "application/json"} if body else {})
        try:
            with telemetry.tracer.start_as_current_span(f"xendit {name}"):
                async with asyncio.timeout(CALL_LIMIT_S):
                    answer = await self._client.request(method, path, content=body, params=params, headers=headers)
            parsed = json.loads(answer.content, parse_float=Decimal, parse_int=Decimal) if answer.content else None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            CALLS.labels(name, "no_answer").inc()
            raise GatewayUnavailable(f"Xendit does not answer ({type(error).__name__})") from error
        except (ValueError, RecursionError, ArithmeticError) as error:
            CALLS.labels(name, "unreadable").inc()
            if answer.is_success:
                raise GatewayUnavailable("Xendit's answer is not JSON") from error
            raise _failure(answer.status_code, {"error_code": "UNREADABLE", "message": answer.text[:200]}) from error
        CALLS.labels(name, str(answer.status_code)).inc()
        if answer.is_success:
            return parsed
        raise _failure(answer.status_code, parsed)


def _failure(status: int, body: object) -> Exception:
    """Return Refused or GatewayUnavailable; the body may lack any of its fields."""
    fields = body if isinstance(body, dict) else {}
    code = cleaned(str(fields.get("error_code") or "UNKNOWN"))
    message = str(fields.get("message") or fields.get("error_message") or "no message")
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
        "amount": _number(draft.amount),
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
                "price": _number(line.price or Decimal(0)),
                "quantity": line.quantity,
                "reference_id": str(line.product_id),
            }
            for line in draft.lines
        ]
    return json.dumps(body).encode()


def _number(amount: Decimal) -> int | float:
    """Return the JSON number of an amount; the shortest text of a float has the same digits."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


class _Reader:
    """Reads the fields of an invoice: unknown ones are ignored, only those that paymentfc needs must be readable."""

    def __init__(self, body: object) -> None:
        if not isinstance(body, dict):
            raise GatewayUnavailable("Xendit's answer is not an invoice")
        self._body = body

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None:
            raise GatewayUnavailable(f"Xendit's invoice has no readable {name}")
        return value

    def optional_text(self, name: str) -> str | None:
        value = self._body.get(name)
        return value if isinstance(value, str) and value and value == cleaned(value) else None

    def amount(self, name: str) -> Decimal | None:
        value = self._body.get(name)
        return value if isinstance(value, Decimal) and value.is_finite() else None

    def time(self, name: str) -> datetime | None:
        value = self._body.get(name)
        try:
            parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            return None
        return parsed.replace(tzinfo=parsed.tzinfo or UTC) if parsed else None


def _invoice(body: object) -> Invoice:
    reader = _Reader(body)
    amount = reader.amount("amount")
    if amount is None:
        raise GatewayUnavailable("Xendit's invoice has no readable amount")
    return Invoice(
        id=reader.text("id"),
        external_id=reader.text("external_id"),
        status=reader.text("status"),
        amount=amount,
        currency=reader.optional_text("currency") or "",
        paid_amount=reader.amount("paid_amount"),
        invoice_url=reader.optional_text("invoice_url"),
        expiry_date=reader.time("expiry_date"),
        created=reader.time("created"),
    )
