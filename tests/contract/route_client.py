"""Requests of every route in the table, with the data that they need: ids for the paths, accounts, bodies."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2

from fc.demo.shop import Customer, Shop
from fc.stack.local import Stack
from tests.contract.routes import CALLBACKS, Route
from tests.kit.answers import JSON
from tests.kit.back_office import BackOffice
from tests.kit.stacks import secret_of
from tests.kit.tokens import Account, Token, bearer

# Larger than any id that a sequence reaches.
UNUSED_ID = 2**62


@dataclass(frozen=True)
class RouteClient:
    """Sends a route's own request for any caller."""

    stack: Stack
    client: httpx2.AsyncClient
    back_office: BackOffice
    accounts: Mapping[str, Account]
    ids: Mapping[str, Any]
    logged_out: bytes
    alice: Customer

    @property
    def secret(self) -> str:
        return secret_of(self.stack, "userfc", "jwt_secret")

    def url(self, route: Route, ids: Mapping[str, Any]) -> str:
        """Return the address for these ids. Of the client's own, `route.fresh` takes one that it may use up."""
        if ids is self.ids and route.fresh == "order":
            ids = {**ids, "order_id": ids["spare_order_id"]}
        path = route.path.format(**ids) + (f"?{route.query}" if route.query else "")
        return self.stack.layout.url(route.service) + path

    async def ask(
        self, route: Route, authorization: bytes | None, ids: Mapping[str, Any] | None = None, **headers: str
    ) -> httpx2.Response:
        """Send the route's request with an Authorization header and others (`x_callback_token`)."""
        ids = self.ids if ids is None else ids
        own = [*route.headers, *((name.replace("_", "-"), value) for name, value in headers.items())]
        sent = [(name.encode(), value.encode()) for name, value in own]
        sent += [(b"authorization", authorization)] if authorization is not None else []
        body = route.body(ids) if route.body is not None else None
        return await self.client.request(route.method, self.url(route, ids), headers=sent, json=body)

    async def fresh(self, route: Route) -> Mapping[str, Any]:
        """Return the ids, with a new order, product or category where a successful call uses it up."""
        if route.fresh == "product":
            return {**self.ids, "product_id": (await self.back_office.product(stock=1))["id"]}
        if route.fresh == "category":
            return {**self.ids, "category_id": await _category(self.client, self.stack, self.ids["admin_headers"])}
        if route.fresh == "order":
            return {**self.ids, "order_id": await self.alice.checkout(self.ids["product"], 1)}
        return self.ids


async def _category(client: httpx2.AsyncClient, stack: Stack, headers: dict[str, str]) -> int:
    url = f"{stack.layout.url('productfc')}/v1/products/categories"
    answer = await client.post(url, headers=headers, json={"name": f"Access {uuid4().hex[:10]}"})
    answer.raise_for_status()
    return int(answer.json()["id"])


async def _account(client: httpx2.AsyncClient, stack: Stack, customer: Customer) -> Account:
    answer = await client.get(f"{stack.layout.url('userfc')}/v1/user-info", headers=customer.headers)
    answer.raise_for_status()
    shown = answer.json()
    return Account(shown["id"], shown["email"], shown["role"])


async def _anomaly(client: httpx2.AsyncClient, stack: Stack, payment: dict[str, Any], headers: dict[str, str]) -> int:
    """Send a callback with an unknown status, which is recorded and does not change the payment."""
    url = stack.layout.url("paymentfc")
    token = secret_of(stack, "paymentfc", "xendit_webhook_token")
    body = {
        "id": payment["invoice_id"],
        "external_id": payment["external_id"],
        "status": "PUZZLED",
        "amount": payment["amount"],
        "currency": payment["currency"],
    }
    answer = await client.post(f"{url}/v1/payments/xendit/webhook", json=body, headers={"x-callback-token": token})
    answer.raise_for_status()
    listed = await client.get(f"{url}/v1/payments/anomalies", params={"page_size": 100}, headers=headers)
    [anomaly_id] = [item["id"] for item in listed.json()["items"] if item["external_id"] == payment["external_id"]]
    return int(anomaly_id)


async def open_route_client(
    stack: Stack, client: httpx2.AsyncClient, shop: Shop, back_office: BackOffice
) -> RouteClient:
    """Make an order with an invoice for alice, and one of everything else that a route refers to."""
    people = {name: await shop.login(name) for name in ("alice", "bob", "admin")}
    spent = await back_office.product(stock=1)
    product = await back_office.product(stock=100_000)
    order = await people["alice"].checkout(product, 1)
    payment = await people["alice"].invoice(order)
    logged_out = await shop.login("admin")
    await client.post(f"{stack.layout.url('userfc')}/v1/logout", headers=logged_out.headers)
    email, password = stack.accounts()["alice"]
    ids = {
        "product": product,
        "product_id": product["id"],
        "category_id": product["category_id"],
        "order_id": order,
        "spare_order_id": await people["alice"].checkout(product, 1),
        "invoice_id": payment["invoice_id"],
        "amount": payment["amount"],
        "row_id": UNUSED_ID,
        "refund_id": UNUSED_ID,
        "spent_product_id": spent["id"],
        "anomaly_id": await _anomaly(client, stack, payment, people["admin"].headers),
        "login": {"email": email, "password": password},
        "admin_headers": people["admin"].headers,
    }
    accounts = {name: await _account(client, stack, customer) for name, customer in people.items()}
    alice, spent_token = people["alice"], logged_out.headers["Authorization"].encode()
    return RouteClient(stack, client, back_office, accounts, ids, spent_token, alice)


def headers_for(route_client: RouteClient, route: Route) -> dict[str, str]:
    """Return headers that a route accepts."""
    headers = {"authorization": bearer(Token.of(route_client.accounts["admin"], route_client.secret)).decode()}
    headers |= dict(route.headers)
    if route.path in CALLBACKS:
        headers["x-callback-token"] = secret_of(route_client.stack, "paymentfc", "xendit_webhook_token")
    return headers


async def send(
    route_client: RouteClient,
    route: Route,
    content: bytes | AsyncIterator[bytes] | None,
    content_type: str | None = JSON,
    url: str = "",
    method: str = "",
) -> httpx2.Response:
    """Send bytes to a route, or to another address, with headers that the route accepts."""
    headers = headers_for(route_client, route) | ({} if content_type is None else {"content-type": content_type})
    url = url or route_client.url(route, route_client.ids)
    return await route_client.client.request(method or route.method, url, headers=headers, content=content)
