"""The services and Kafka as the console sees them, and a person's browser in front of it."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import httpx2
from fastapi import FastAPI

from chassis.auth.tokens import TokenVerifier, encode_token
from console.client.admin_api import NoAnswer
from console.config import Settings
from console.handler.session import COOKIE
from console.model.facts import Record

from .samples import completed

ORIGIN = "http://localhost:28084"


@dataclass
class Platform:
    """The services and Kafka, as the console sees them; `away` do not answer."""

    facts: Any = field(default_factory=completed)
    away: set[str] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[httpx2.Request] = field(default_factory=list)
    token: str = ""
    # Of the records in Kafka: whether all were read, and since when they were asked for.
    all_read: bool = True
    since: datetime | None = None
    # Further answers, by service and path; a function is called with the request.
    more: dict[str, Any] = field(default_factory=dict)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        service, path = request.url.host, request.url.path
        if service in self.away:
            raise httpx2.ConnectError("away")
        if service in self.statuses:
            return httpx2.Response(self.statuses[service], json={"error": "no"}, headers=self.headers)
        if path == "/v1/login":
            right = b"right" in request.content
            return httpx2.Response(200 if right else 401, json={"token": self.token} if right else {"error": "wrong"})
        answers: dict[str, Any] = {
            "/v1/admin/orders/42": {"user_id": 7, "total_amount": 90000, "currency": "IDR", **(self.facts.order or {})},
            "/v1/admin/payments/orders/42": self.facts.dossier,
            "/v1/admin/stock/orders/42": {"rows": self.facts.stock},
            "/v1/admin/outbox": {"items": [], "next_after_id": None},
            "/v1/admin/inbox": {"items": self._received(service)},
            "/v1/logout": {"message": "Logged out"},
        }
        found = self.more.get(f"{service}{path}")
        if found is not None:
            return httpx2.Response(200, json=found(request) if callable(found) else found)
        return httpx2.Response(200, json=answers[path]) if path in answers else httpx2.Response(404, json={})

    def _received(self, service: str) -> list[dict[str, str]]:
        applied = self.facts.applied.items()
        return [
            {"event_id": str(identity), "received_at": time.isoformat()}
            for (consumer, identity), time in applied
            if consumer == service
        ]

    async def of_order(self, order_id: int, since: datetime) -> tuple[list[Record], bool]:
        self.since = since
        if "kafka" in self.away:
            raise NoAnswer("KafkaConnectionError")
        return list(self.facts.records) if order_id == 42 else [], self.all_read


@dataclass
class Browser:
    """A client of the console, with its cookies, and what stands behind the console."""

    http: httpx2.AsyncClient
    platform: Platform
    settings: Settings
    app: FastAPI

    def revoke(self) -> None:
        """Have no token accepted any more."""
        self.app.state.verifier = TokenVerifier("another secret than that of the tokens so far")

    def token(self, role: str = "admin") -> str:
        return encode_token(self.settings.jwt_secret, user_id=9, email="admin@example.com", role=role)

    def sign_in(self, role: str = "admin") -> None:
        self.http.cookies.set(COOKIE, self.token(role), domain="localhost.local")

    async def get(self, path: str) -> httpx2.Response:
        return await self.http.get(path)

    async def post(self, path: str, origin: str | None = ORIGIN, **fields: str) -> httpx2.Response:
        headers = {"content-type": "application/x-www-form-urlencoded"} | ({"origin": origin} if origin else {})
        return await self.http.post(path, content=urlencode(fields), headers=headers)

    async def form(self, path: str = "/login") -> str:
        found = re.search(r'name="form" value="(\w+)"', (await self.get(path)).text)
        assert found is not None
        return found[1]
