"""Attacks by whole requests: floods, guesses, forged callbacks, costly bodies, searches and invoices."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from itertools import cycle
from typing import Any
from uuid import uuid4

import httpx2

from bench.siege.target import Target

MANY_OBJECTS = b"[" + b"{}," * 349_000 + b"{}]"
SEARCHES, DOWNLOADS, PROBES, GUESSES, COSTLY = 6, 20, 50, 10, 4
_orders = cycle(range(1_000_000))


async def costly_bodies(target: Target, client: httpx2.AsyncClient, seen: Counter[str]) -> None:
    """Send 1 MiB of small objects to the routes that read a body, without and with a token."""
    routes = [
        ("userfc", "/v1/login", {}),
        ("userfc", "/v1/register", {}),
        ("orderfc", "/v1/orders/checkout", {"Authorization": target.token}),
        ("paymentfc", "/v1/payments/xendit/webhook", {"x-callback-token": target.webhook_token}),
    ]
    json = {"Content-Type": "application/json"}
    calls = [
        _call(client, "POST", target.url(service) + path, seen, content=MANY_OBJECTS, headers=json | headers)
        for service, path, headers in routes
        for _ in range(COSTLY)
    ]
    await asyncio.gather(*calls)


async def guesses(target: Target, client: httpx2.AsyncClient, seen: Counter[str]) -> None:
    """Guess the password of somebody's account."""
    await _together(
        _call(
            client,
            "POST",
            f"{target.url('userfc')}/v1/login",
            seen,
            json={"email": target.email, "password": uuid4().hex},
        )
        for _ in range(GUESSES)
    )


async def forged_callbacks(target: Target, client: httpx2.AsyncClient, seen: Counter[str]) -> None:
    """Send callbacks with a wrong token, and made-up payments with the right one."""
    order = list(target.orders)[next(_orders) % len(target.orders)]
    paid = {"status": "PAID", "amount": 38_000, "paid_amount": 38_000, "currency": "IDR", "payment_id": uuid4().hex}
    true = {"id": target.orders[order], "external_id": f"order-{order}", **paid}
    unknown = {"id": uuid4().hex, "external_id": f"order-{8_000_000_000 + next(_orders)}", **paid}
    url = f"{target.url('paymentfc')}/v1/payments/xendit/webhook"
    for token, body in (("guess", true), ("", true), (target.webhook_token, true), (target.webhook_token, unknown)):
        await _call(client, "POST", url, seen, json=body, headers={"x-callback-token": token})


async def searches(target: Target, client: httpx2.AsyncClient, seen: Counter[str]) -> None:
    """Search without a token, on pages near and far."""
    queries: list[dict[str, Any]] = [
        {"name": "e", "page_size": 100},
        {"name": "%", "order_by": "stock", "sort": "desc"},
        {"min_price": "1", "max_price": "9999999999", "page": 1_000},
    ]
    url = f"{target.url('productfc')}/v1/products/search"
    await _together(_call(client, "GET", url, seen, params=queries[n % 3]) for n in range(SEARCHES))


async def downloads(target: Target, client: httpx2.AsyncClient, seen: Counter[str]) -> None:
    """Download invoices in many scripts, and ask for those of others."""
    orders = [*list(target.orders)[: DOWNLOADS - 2], 1, 10**15]
    await _together(
        _call(
            client,
            "GET",
            f"{target.url('paymentfc')}/v1/payments/invoice/{order}/pdf",
            seen,
            headers={"Authorization": target.token},
        )
        for order in orders
    )


async def probes(target: Target, client: httpx2.AsyncClient, seen: Counter[str]) -> None:
    """Flood the probes of all services."""
    await _together(
        _call(client, "GET", f"{target.url(name)}/ready", seen) for name in target.ports for _ in range(PROBES)
    )


async def _together(calls: Iterable[Any]) -> None:
    await asyncio.gather(*calls)


async def _call(client: httpx2.AsyncClient, method: str, url: str, seen: Counter[str], **request: Any) -> None:
    try:
        seen[str((await client.request(method, url, **request)).status_code)] += 1
    except httpx2.HTTPError as error:
        seen[type(error).__name__] += 1
