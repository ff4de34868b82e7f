"""What is attacked: addresses, secrets and orders, in a form that is handed to another process."""

import secrets
from dataclasses import dataclass
from typing import Any

import httpx2

from fc.demo.shop import Customer, Shop
from fc.stack.layout import SERVICES, SIMULATOR
from fc.stack.local import Stack

WEBHOOK_TOKEN = f"siege-{secrets.token_hex(16)}"
PASSWORD = "correct horse 7 battery"
PRODUCT = "Notebook A5"
# Names and addresses in many scripts make the dearest invoices.
NAME = "محمد 山田 नमस्ते " * 12
ADDRESS = "ขอบคุณ Ελλάδα 서울 שלום " * 40


@dataclass(frozen=True)
class Target:
    """The services by name, the broker, the token of callbacks, and a hostile customer with orders of their own.

    `orders` maps the ids of these orders to their invoices. `email` is an account that is not the hostile customer's.
    """

    ports: dict[str, int]
    broker: str
    webhook_token: str
    token: str
    product_id: int
    orders: dict[int, str]
    email: str

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"


async def register(client: httpx2.AsyncClient, urls: dict[str, str], email: str, name: str) -> Customer:
    """Register a customer and log them in."""
    body = {"name": name[:255], "email": email, "password": PASSWORD, "confirm_password": PASSWORD}
    (await client.post(f"{urls['userfc']}/v1/register", json=body)).raise_for_status()
    return await Shop(client, urls, {"it": (email, PASSWORD)}).login("it")


async def prepare(stack: Stack, client: httpx2.AsyncClient, product: dict[str, Any], orders: int) -> Target:
    """Register the hostile customer and place their orders, which stay unpaid."""
    urls = addresses(stack)
    hostile = await register(client, urls, "mallory@example.com", NAME)
    placed: dict[int, str] = {}
    for _ in range(orders):
        body = {
            "items": [{"product_id": product["id"], "quantity": 1}],
            "payment_method": "BANK_TRANSFER",
            "shipping_address": ADDRESS[:1000],
        }
        answer = await client.post(f"{urls['orderfc']}/v1/orders/checkout", json=body, headers=hostile.headers)
        answer.raise_for_status()
        order = int(answer.json()["order_id"])
        placed[order] = (await hostile.invoice(order))["invoice_id"]
    return Target(
        ports={name: stack.layout.port(name) for name in SERVICES},
        broker=f"127.0.0.1:{stack.layout.port('kafka')}",
        webhook_token=WEBHOOK_TOKEN,
        token=hostile.headers["Authorization"],
        product_id=int(product["id"]),
        orders=placed,
        email="customer-1@example.com",
    )


def addresses(stack: Stack) -> dict[str, str]:
    """Return the HTTP addresses of the services and of the simulator, as 127.0.0.1."""
    return {name: f"http://127.0.0.1:{stack.layout.port(name)}" for name in (*SERVICES, SIMULATOR)}
