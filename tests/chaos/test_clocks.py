"""A service whose clock is five minutes off accepts tokens and keeps invoices like any other."""

import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import jwt
import pytest
import redis.asyncio

from chassis.auth.revocation import key
from chassis.auth.tokens import CLOCKS_DIFFER_S, LEEWAY_S
from fc.demo.shop import Customer
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.stock import stock_of

SKEW_S = 300
INVOICE_S = 240
"""Shorter than the difference of the clocks: by the wrong clock such an invoice expires before it is made."""


def clock(offset_s: int) -> Mapping[str, str]:
    """Return the environment of a process whose wall clock, and not its monotonic clock, is off by so many seconds."""
    library = "faketime/libfaketimeMT.so.1"
    libraries = [*Path("/usr").glob(f"lib/*/{library}"), *Path("/usr").glob(f"lib*/{library}")]
    assert libraries, "the package faketime is not installed: make tools"
    return {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME": f"{offset_s:+d}s",
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }


async def kept_after_expiry_s(arena: Arena, who: Customer) -> float:
    """Return how many seconds after the end of a token its revocation leaves Redis."""
    claims = jwt.decode(who.headers["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    password = arena.stack.programs.environment("userfc")["REDIS_PASSWORD"]
    client = redis.asyncio.Redis(port=arena.stack.layout.port("redis"), password=password)
    try:
        left_s: float = await client.ttl(key(claims["jti"]))
    finally:
        await client.aclose()
    return arena.stack.programs.clock.now().timestamp() + left_s - float(claims["exp"])


@pytest.mark.fault(71)
@pytest.mark.parametrize(
    ("service", "offset_s"),
    [
        ("userfc", SKEW_S),
        ("userfc", -SKEW_S),
        ("productfc", SKEW_S),
        ("orderfc", -SKEW_S),
        ("paymentfc", SKEW_S),
        ("paymentfc", -SKEW_S),
    ],
)
async def test_a_service_whose_clock_is_five_minutes_off_serves_as_if_it_was_right(
    arena: Arena, service: str, offset_s: int
) -> None:
    settings = {"INVOICE_DURATION_S": str(INVOICE_S)} if service == "paymentfc" else {}
    product, urls = await arena.back_office.product(stock=5), arena.stack.urls()
    async with arena.replaced(service, {**clock(offset_s), **settings}) as running:
        said = parsedate_to_datetime((await arena.client.get(f"{running.url}/health")).headers["date"])
        assert abs(said.timestamp() - time.time() - offset_s) < 30
        alice, bob = await arena.shop.login("alice"), await arena.shop.login("bob")
        order, left = await alice.checkout(product, 1), await bob.checkout(product, 2)
        payment = await arena.invoice(left, bob)
        url = f"{urls['paymentfc']}/v1/payments/invoice"
        answer = await arena.client.post(url, headers=bob.headers, json={"order_id": left})
        assert (answer.status_code, answer.json().get("invoice_url")) == (200, payment["invoice_url"])
        invoices = (await arena.client.get(f"{urls['xendit']}/_sim/invoices")).json()
        [invoice] = [item for item in invoices if item["external_id"] == f"order-{left}"]
        assert datetime.fromisoformat(payment["expires_at"]) == datetime.fromisoformat(invoice["expiry_date"])
        await arena.complete(order, alice)
        (await arena.client.post(f"{urls['userfc']}/v1/logout", headers=alice.headers)).raise_for_status()
        assert await kept_after_expiry_s(arena, alice) > LEEWAY_S + CLOCKS_DIFFER_S
        asked = (
            f"{urls['userfc']}/v1/user-info",
            f"{urls['orderfc']}/v1/orders/{order}",
            f"{urls['paymentfc']}/v1/payments/{order}",
        )
        for token, expected in ((alice, [401] * 3), (arena.alice, [200] * 3)):
            assert [(await arena.client.get(url, headers=token.headers)).status_code for url in asked] == expected
        await arena.complete(left, bob)
    await arena.exact()
    assert await stock_of(arena, product) == 2
