"""Xendit's invoice API, version 2: four calls, exact amounts, bounded answers, and two kinds of failure."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx2
import structlog
from prometheus_client import Counter

from chassis import telemetry
from chassis.config.tls import verification
from paymentfc.client.invoice_answer import read_invoice
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
MAX_ANSWER = 1024 * 1024
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
        self._base_url = base_url
        self._secret_key = secret_key

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        """The client, made for the first call: it imports and reads what takes up to 80 ms of a start."""
        return httpx2.AsyncClient(
            base_url=self._base_url.rstrip("/"),
            verify=verification(self._base_url),
            auth=httpx2.BasicAuth(self._secret_key, ""),
            timeout=TIMEOUT_S,
            limits=httpx2.Limits(max_connections=32, max_keepalive_connections=16),
            # A compressed answer could be of any size.
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )

    async def create(self, draft: Draft) -> Invoice:
        """Make an invoice. It may exist even when this raises GatewayUnavailable."""
        answer = await self._call("create", "POST", "/v2/invoices", body=_body(draft))
        invoice = read_invoice(answer, self._schemes)
        if invoice.external_id != draft.external_id:
            raise GatewayUnavailable("Xendit answers with an invoice of another order")
        return invoice

    async def find(self, external_id: str) -> list[Invoice]:
        """Return the newest 100 invoices with this external id, newest first: Xendit does not keep it unique."""
        params = {"external_id": external_id, "limit": str(MAX_LISTED)}
        try:
            answer = await self._call("find", "GET", "/v2/invoices", params=params)
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
        path = f"/v2/invoices/{quote(invoice_id, safe='')}"
        return self._asked(await self._call("get", "GET", path), invoice_id)

    async def expire(self, invoice_id: str) -> Invoice:
        """Expire a PENDING invoice. After an error its status must be read: expiry races with payment."""
        path = f"/invoices/{quote(invoice_id, safe='')}/expire!"
        return self._asked(await self._call("expire", "POST", path), invoice_id)

    async def close(self) -> None:
        if "_client" in self.__dict__:
            await self._client.aclose()

    async def _call(
        self, name: str, method: str, path: str, *, body: bytes | None = None, params: dict[str, str] | None = None
    ) -> Any:
        headers = telemetry.inject({"content-type": "application/json"} if body else {})
        try:
            with telemetry.tracing.span(f"xendit {name}"):
                async with (
                    asyncio.timeout(CALL_LIMIT_S),
                    self._client.stream(method, path, content=body, params=params, headers=headers) as answer,
                ):
                    content = await _read(answer)
            parsed = json.loads(content, parse_float=Decimal, parse_int=Decimal) if content else None
            failure = None if answer.is_success else _failure(answer.status_code, parsed)
        except GatewayUnavailable:
            CALLS.labels(name, "unreadable").inc()
            raise
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            CALLS.labels(name, "no_answer").inc()
            raise GatewayUnavailable(f"Xendit does not answer ({type(error).__name__})") from error
        except (ValueError, RecursionError, ArithmeticError) as error:
            CALLS.labels(name, "unreadable").inc()
            if answer.is_success:
                raise GatewayUnavailable("Xendit's answer is not JSON") from error
            message = content[:200].decode(errors="replace")
            raise _failure(answer.status_code, {"error_code": "UNREADABLE", "message": message}) from error
        CALLS.labels(name, str(answer.status_code)).inc()
        if failure is not None:
            raise failure
        return parsed

    def _asked(self, body: object, invoice_id: str) -> Invoice:
        invoice = read_invoice(body, self._schemes)
        if invoice.id != invoice_id:
            raise GatewayUnavailable("Xendit answers with another invoice")
        return invoice


async def _read(answer: httpx2.Response) -> bytes:
    """Read a body up to the limit. Raises GatewayUnavailable beyond it, and for a compressed one."""
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise GatewayUnavailable("Xendit's answer is compressed")
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER:
            raise GatewayUnavailable(f"Xendit's answer is over {MAX_ANSWER} bytes")
    return bytes(content)


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
