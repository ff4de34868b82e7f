"""Finds what an id means: an order, an invoice, an event, a trace, a customer. Each look-up goes by a unique key."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from uuid import UUID

from console.client.admin_api import AdminApi
from console.model.keys import order_in
from console.model.saga import PUBLISHERS
from console.usecase.source_errors import SourceErrors

_ORDER = re.compile(r"(?:order-)?0*([1-9][0-9]{0,17})", re.ASCII | re.IGNORECASE)
_INVOICE = re.compile(r"[0-9a-f]{24}", re.ASCII | re.IGNORECASE)
_HEX32 = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
# As the services take it from the header X-Request-ID.
_REQUEST = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
MAX_TEXT = 320


@dataclass(frozen=True, slots=True)
class Found:
    """The pages about what the text names, each with its title; and what was looked up without a result.

    `away` has the sources that did not answer, each with the reason: what was to be looked up there is not in `tried`.
    `request` is the text where it may be the id of a request: log lines are looked for on a page of their own.
    """

    places: tuple[tuple[str, str], ...] = ()
    tried: tuple[str, ...] = ()
    request: str = ""
    away: tuple[tuple[str, str], ...] = ()


async def find_anything(api: AdminApi, text: str) -> Found:
    """Find what a text names. Raises Refused when a service refuses the token."""
    errors, text = SourceErrors(), text.strip()
    if "@" in text:
        found = await _customer(api, errors, text)
    elif order := _ORDER.fullmatch(text):
        found = Found(((f"/orders/{order[1]}", f"Order {order[1]}"),), ())
    elif _INVOICE.fullmatch(text):
        found = await _invoice(api, errors, text.lower())
    elif _UUID.fullmatch(text):
        found = await _event(api, errors, UUID(text))
    elif _HEX32.fullmatch(text):
        found = Found(((f"/traces/{text.lower()}", f"Trace {text.lower()}"),), request=text)
    else:
        found = await _invoice(api, errors, text)
        found = replace(found, request="" if found.places or not _REQUEST.fullmatch(text) else text)
    return replace(found, away=tuple(sorted(errors.unread.items())))


async def _customer(api: AdminApi, errors: SourceErrors, address: str) -> Found:
    found = await errors.read("userfc", api.get("userfc", "users", email=address), None)
    accounts = found["items"] if found else []
    if not accounts:
        return _nothing(errors, userfc=f"an account with the e-mail address {address}")
    return Found(((f"/orders?customer={quote(accounts[0]['email'])}", f"Orders of {accounts[0]['email']}"),), ())


async def _invoice(api: AdminApi, errors: SourceErrors, invoice_id: str) -> Found:
    found = await errors.read("paymentfc", api.get("paymentfc", "payments", invoice_id=invoice_id), None)
    if found is None or found["payment"] is None:
        return _nothing(errors, paymentfc=f"an invoice {invoice_id} of Xendit")
    return Found((_order(found["payment"]["order_id"]),), ())


async def _event(api: AdminApi, errors: SourceErrors, event_id: UUID) -> Found:
    answers = await asyncio.gather(
        *(errors.read(service, api.get(service, "outbox", event_id=str(event_id)), None) for service in PUBLISHERS)
    )
    rows: list[Mapping[str, Any]] = [row for answer in answers if answer for row in answer["items"]]
    orders = [order for row in rows if (order := order_in(row["key"])) is not None]
    if not orders:
        looked_up = {service: f"an event {event_id} in the outbox of {service}" for service in PUBLISHERS}
        return _nothing(errors, **looked_up)
    return Found(tuple(_order(order) for order in orders), ())


def _nothing(errors: SourceErrors, **looked_up: str) -> Found:
    """Return what was looked up at services that answered."""
    return Found((), tuple(what for service, what in looked_up.items() if service not in errors.unread))


def _order(order_id: int) -> tuple[str, str]:
    return f"/orders/{order_id}", f"Order {order_id}"
