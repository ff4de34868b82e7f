"""No secret is ever logged, even at the level DEBUG, in success or failure."""

import asyncio
from pathlib import Path

import grpc.aio
import httpx2
import pytest

from chassis.pb import user_pb2, user_pb2_grpc
from fc.demo.shop import Customer, Shop
from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from tests.kit.back_office import BackOffice
from tests.kit.stacks import SECRETS

pytestmark = pytest.mark.e2e

WRONG = "a-wrong-password-of-no-account"


def files_with(folder: Path, secret: str) -> list[str]:
    """Return the names of the log files that contain a text."""
    return [path.name for path in folder.glob("*.log*") if secret.encode() in path.read_bytes()]


async def _provoke(stack: Stack, client: httpx2.AsyncClient) -> None:
    """Cause every refusal of a request that carries a secret."""
    users, payments = stack.layout.url("userfc"), stack.layout.url("paymentfc")
    email = stack.accounts()["admin"][0]
    answer = await client.post(f"{users}/v1/login", json={"email": email, "password": WRONG})
    assert answer.status_code == 401
    answer = await client.post(
        f"{payments}/v1/payments/xendit/webhook", headers={"x-callback-token": WRONG}, json={"id": "x"}
    )
    assert answer.status_code == 401
    answer = await client.get(f"{users}/v1/user-info", headers={"Authorization": f"Bearer {WRONG}"})
    assert answer.status_code == 401
    async with grpc.aio.insecure_channel(f"localhost:{stack.layout.port('grpc')}") as channel:
        stub = user_pb2_grpc.UserServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ValidateToken(
                user_pb2.ValidateTokenRequest(token="t"), metadata=(("authorization", f"Bearer {WRONG}"),)
            )


async def test_no_log_of_a_full_run_holds_a_secret_a_password_or_a_token(
    stack: Stack, shop: Shop, alice: Customer, back_office: BackOffice, client: httpx2.AsyncClient
) -> None:
    product = await back_office.product(stock=2)
    order = await alice.checkout(product, 1)
    payment = await alice.invoice(order)
    await shop.pay(payment["invoice_id"])
    await alice.wait_status(order, "completed")
    await _provoke(stack, client)
    async with back_office.faults({"create_status": {"status": 401, "times": 1}}):
        await alice.invoice(await alice.checkout(product, 1))

    logs = stack.layout.log("orderfc").parent
    token = alice.headers["Authorization"].removeprefix("Bearer ")
    passwords = [password for _, password in stack.accounts().values()]
    for secret in (*SECRETS.values(), *passwords, token, WRONG):
        assert await asyncio.to_thread(files_with, logs, secret) == []


def test_the_search_would_find_a_secret(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    assert shop
    (tmp_path / "planted.log").write_text(f"password={SECRETS['ADMIN_PASSWORD']}", encoding="utf-8")
    assert files_with(tmp_path, SECRETS["ADMIN_PASSWORD"]) == ["planted.log"]
    logs = stack.layout.log("orderfc").parent
    assert {f"{name}.log" for name in SERVICES} <= set(
        files_with(logs, "relay is active") + files_with(logs, "started")
    )
