"""The contract while a dependency is away: readiness, refusals and what goes on afterwards, over the running stack."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2
import orjson
from redis.asyncio import Redis

from fc.demo.shop import Customer, Shop, poll
from fc.stack.layout import SERVICES
from productfc.handler.schemas import SHAPE
from tests.contract.api import Api
from tests.kit.answers import outcome
from tests.kit.back_office import BackOffice


async def _all_ready(api: Api) -> bool:
    try:
        answers = [await api.ask(name, "GET", "/ready") for name in SERVICES]
    except httpx2.TransportError:
        return False
    return all(answer.status_code == 200 and "degraded" not in answer.text for answer in answers)


async def _degraded(api: Api, service: str, name: str) -> dict[str, Any]:
    """Wait until a ready service says what it lacks, and return its checks. An answer may be a second old."""

    async def said() -> dict[str, Any] | None:
        status, shown = await api.readiness(service)
        assert (status, shown["status"]) == (200, "ready")
        return dict(shown["checks"]) if shown["checks"][name].startswith("degraded") else None

    return dict(await poll(said, f"{service} says that {name} is away"))


async def _not_ready(api: Api, service: str) -> dict[str, Any] | None:
    status, shown = await api.readiness(service)
    return shown if status == 503 else None


@asynccontextmanager
async def _without(api: Api, *parts: str) -> AsyncIterator[None]:
    """Stop servers or services for the block; afterwards all services are ready again."""
    supervisor = api.stack.supervisor
    for part in parts:
        await asyncio.to_thread(supervisor.stop, part)
    try:
        yield
    finally:
        for part in parts:
            await asyncio.to_thread(supervisor.start, part)
        await poll(lambda: _all_ready(api), f"everybody finds {parts} again", 60)


async def test_checkout_does_not_believe_the_cache(api: Api, alice: Customer, back_office: BackOffice) -> None:
    product = await back_office.product(stock=1)
    told = api.stack.programs.environment("productfc")
    redis = Redis(host=told["REDIS_HOST"], port=int(told["REDIS_PORT"]), password=told["REDIS_PASSWORD"])
    lie = product | {"stock": 9, "price": 1}
    try:
        await redis.set(f"product:{product['id']}", SHAPE + orjson.dumps(lie))
    finally:
        await redis.aclose()
    assert (await api.ask("productfc", "GET", f"/v1/products/{product['id']}")).json() == lie
    scarce = await api.checkout(alice, [{"product_id": product["id"], "quantity": 2}])
    assert outcome(scarce) == (409, "insufficient_stock")
    cheap = await api.checkout(alice, [{"product_id": product["id"], "quantity": 1, "price": 1}])
    assert outcome(cheap) == (409, "price_mismatch")
    order = await alice.checkout(product, 1)
    assert (await alice.order(order))["total_amount"] == product["price"]


async def test_without_redis_every_service_is_ready_degraded_reads_answer_and_orders_go_on(
    api: Api, alice: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=2)
    async with _without(api, "redis"):
        for service in SERVICES:
            assert (await _degraded(api, service, "redis"))["database"] == "ok"
        assert (await api.ask("productfc", "GET", f"/v1/products/{product['id']}")).json()["stock"] == 2
        order = await alice.checkout(product, 1)
        assert (await alice.order(order))["status"] == "created"
        await back_office.wait_stock(product, 1)
        assert (await api.ask("productfc", "GET", f"/v1/products/{product['id']}")).json()["stock"] == 1
        leaver = await api.visitor()
        assert (await api.ask("userfc", "POST", "/v1/logout", leaver)).status_code == 200
        assert outcome(await api.ask("orderfc", "GET", "/v1/orders/history", leaver)) == (401, "invalid_token")
    assert outcome(await api.ask("orderfc", "GET", "/v1/orders/history", leaver)) == (401, "invalid_token")


async def test_without_mongodb_only_the_audit_log_is_503_and_its_entries_arrive_later(
    api: Api, shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    path = "/v1/payments/audit-logs"
    async with _without(api, "mongo"):
        order = await alice.checkout(await back_office.product(stock=1), 1)
        payment = await alice.invoice(order)
        await shop.pay(payment["invoice_id"])
        await alice.wait_status(order, "completed")
        answer = await api.ask("paymentfc", "GET", path, api.admin)
        assert outcome(answer) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        for other in ("failed", "anomalies", "failed-events"):
            assert (await api.ask("paymentfc", "GET", f"/v1/payments/{other}", api.admin)).status_code == 200
        checks = await _degraded(api, "paymentfc", "mongodb")
        assert [name for name, state in checks.items() if state.startswith("degraded")] == ["mongodb"]

    async def all_steps() -> bool:
        found = (await api.ask("paymentfc", "GET", f"{path}?order_id={order}", api.admin)).json()["items"]
        return sorted(entry["event"] for entry in found) == [
            "event.published",
            "invoice.created",
            "payment.created",
            "payment.paid",
        ]

    await poll(all_steps, "the entries of the time without MongoDB", 40)


async def test_without_kafka_orders_are_taken_and_the_saga_goes_on_by_itself_afterwards(
    api: Api, shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    product = await back_office.product(stock=4)
    async with _without(api, "kafka"):
        order = await alice.checkout(product, 1)
        for service in ("productfc", "orderfc", "paymentfc"):
            await _degraded(api, service, "kafka")
        assert await back_office.stock(product) == 4

    async def payment() -> Any:
        found = await alice.payment(order)
        return found if found.get("invoice_url") else None

    await shop.pay((await poll(payment, "the invoice after the outage", 60))["invoice_id"])
    await alice.wait_status(order, "completed", 60)
    await back_office.wait_stock(product, 3)


async def test_without_productfc_checkout_is_503_writes_nothing_and_frees_the_key(
    api: Api, back_office: BackOffice
) -> None:
    visitor = await api.visitor()
    product = await back_office.product(stock=1)
    key, line = {"Idempotency-Key": "one key for both"}, [{"product_id": product["id"], "quantity": 1}]
    async with _without(api, "productfc"):
        refused = await api.checkout(visitor, line, key)
        assert outcome(refused) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        await _degraded(api, "orderfc", "productfc")
    assert (await api.ask("orderfc", "GET", "/v1/orders/history", visitor)).json() == []
    made = await api.checkout(visitor, line, key)
    assert (made.status_code, "idempotent-replayed" in made.headers) == (201, False)


async def test_without_redis_and_userfc_changes_wait_and_reads_go_on(api: Api, back_office: BackOffice) -> None:
    product = await back_office.product(stock=1)
    visitor = await api.visitor()
    async with _without(api, "redis", "userfc"):
        assert (await api.ask("orderfc", "GET", "/v1/orders/history", visitor)).status_code == 200
        changes = [
            await api.checkout(visitor, [{"product_id": product["id"], "quantity": 1}]),
            await api.ask("productfc", "PUT", f"/v1/products/{product['id']}", api.admin, json={"stock": 0}),
        ]
        for refused in changes:
            assert outcome(refused) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) >= 1
        assert (await api.ask("productfc", "GET", f"/v1/products/{product['id']}")).json()["stock"] == 1
    assert (await api.ask("orderfc", "GET", "/v1/orders/history", visitor)).json() == []


async def test_without_its_database_a_service_is_alive_and_not_ready(api: Api) -> None:
    async with _without(api, "postgres"):
        for service in SERVICES:
            shown = await poll(partial(_not_ready, api, service), f"{service} is not ready", 10)
            assert shown["status"] == "not_ready"
            assert shown["checks"]["database"].startswith("failed")
            assert (await api.ask(service, "GET", "/health")).json() == {"status": "healthy", "service": service}
