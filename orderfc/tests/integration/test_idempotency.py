"""Idempotency keys: one order per key and user whatever happens, and every failure gives the key back."""

import asyncio
import contextlib

import httpx2
import pytest

from orderfc.config import Settings
from orderfc.errors import RequestInProgress
from orderfc.handler.schemas import CheckoutBody
from orderfc.model import BasketLine
from orderfc.repository import idempotency
from orderfc.repository.idempotency import Lease
from orderfc.usecase.checkout import Checkout, CheckoutRequest

from .conftest import Shop, body

HASH = CheckoutBody.model_validate(body()).request_hash()


def request(user: dict[str, str], key: str | None = "key") -> CheckoutRequest:
    return CheckoutRequest(
        int(user["X-Test-User"]), [BasketLine(1, 1)], "BANK_TRANSFER", "Jalan Merdeka 1, Jakarta", key, HASH
    )


async def test_the_same_key_twenty_times_at_once_makes_one_order(shop: Shop) -> None:
    user = shop.user()
    answers = await asyncio.gather(*(shop.checkout(user, body(), "key") for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"request_in_progress"}
    placed = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["order_id"] for answer in placed}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in placed) == 1
    assert await shop.written_for(user) == (1, 1)
    order_id = placed[0].json()["order_id"]
    assert await shop.value("SELECT count(*) FROM outbox WHERE key = $1", f"order-{order_id}") == 2


async def test_a_repeat_is_answered_the_same_after_the_stock_is_gone_and_productfc_is_down(shop: Shop) -> None:
    user = shop.user()
    first = await shop.checkout(user, body(), "key")
    shop.productfc.stock(1, stock=0)
    again = await shop.checkout(user, body(), "key")
    shop.productfc.products.clear()
    by_token = await shop.checkout(user, body(idempotency_token="key"))
    both = await shop.checkout(user, body(idempotency_token="key"), "key")
    for answer in (again, by_token, both):
        assert (answer.status_code, answer.content) == (first.status_code, first.content)
        assert answer.headers["Idempotent-Replayed"] == "true"
    assert len(shop.productfc.calls) == 1
    assert await shop.written_for(user) == (1, 1)


async def test_another_body_under_a_used_key_is_422_and_changes_nothing(shop: Shop) -> None:
    user = shop.user()
    first = await shop.checkout(user, body(), "key")
    other = await shop.checkout(user, body({"product_id": 1, "quantity": 2}), "key")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await shop.checkout(user, body(), "key")).content == first.content


async def test_two_users_may_use_the_same_key(shop: Shop) -> None:
    first, second = shop.user(), shop.user()
    answers = [await shop.checkout(user, body(), "key") for user in (first, second)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["order_id"] != answers[1].json()["order_id"]
    assert "Idempotent-Replayed" not in answers[1].headers


async def test_while_a_request_runs_its_key_answers_409_and_another_body_422(shop: Shop) -> None:
    user = shop.user()
    shop.productfc.gate = asyncio.Event()
    running = asyncio.create_task(shop.checkout(user, body(), "key"))
    await shop.productfc.called.wait()
    same = await shop.checkout(user, body(), "key")
    other = await shop.checkout(user, body(payment_method="CARD"), "key")
    shop.productfc.gate.set()
    assert (same.status_code, same.json()["code"]) == (409, "request_in_progress")
    assert other.status_code == 422
    assert (await running).status_code == 201
    assert await shop.written_for(user) == (1, 1)


async def test_a_key_is_free_after_a_refusal_and_then_works_with_another_body(shop: Shop) -> None:
    user = shop.user()
    shop.productfc.stock(1, stock=0)
    assert (await shop.checkout(user, body(), "key")).status_code == 409
    shop.productfc.stock(1, stock=5)
    answer = await shop.checkout(user, body({"product_id": 1, "quantity": 2}), "key")
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False)


async def test_a_cancelled_request_frees_its_key(shop: Shop) -> None:
    user = shop.user()
    shop.productfc.gate = asyncio.Event()
    place: Checkout = shop.app.state.checkout
    running = asyncio.create_task(place(request(user)))
    await shop.productfc.called.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()
    shop.productfc.gate = None
    assert await shop.written_for(user) == (0, 0)


async def test_an_unexpected_error_is_a_plain_500_and_frees_the_key(shop: Shop) -> None:
    async def broken(_request: httpx2.Request) -> httpx2.Response:
        raise ZeroDivisionError("driver text that must not be shown")

    user = shop.user()
    shop.productfc.answer = broken
    answer = await shop.checkout(user, body(), "key")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "driver" not in answer.text
    assert await shop.written_for(user) == (0, 0)


async def test_the_key_of_a_crashed_request_is_taken_over_when_its_lease_ends(shop: Shop) -> None:
    user = shop.user()
    crashed = Lease(int(user["X-Test-User"]), "key", b"\0" * 32)
    assert [held.acquired for held in await idempotency.reserve(shop.db, [crashed], 30)] == [True]
    assert (await shop.checkout(user, body(), "key")).status_code == 422
    await shop.value(
        "UPDATE idempotency_keys SET leased_until = now(), created_at = now() - interval '47 hours' WHERE user_id = $1",
        crashed.user_id,
    )
    answer = await shop.checkout(user, body(), "key")
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False)
    await idempotency.free(shop.db, crashed)
    assert await shop.written_for(user) == (1, 1)
    age = "SELECT now() - created_at < interval '1 minute' FROM idempotency_keys WHERE user_id = $1"
    assert await shop.value(age, crashed.user_id), "the new holder's key lives as long as any other"


async def test_a_holder_whose_lease_was_taken_over_writes_nothing(shop: Shop) -> None:
    user = shop.user()
    shop.productfc.gate = asyncio.Event()
    place: Checkout = shop.app.state.checkout
    late = asyncio.create_task(place(request(user)))
    await shop.productfc.called.wait()
    await shop.value("UPDATE idempotency_keys SET leased_until = now() WHERE user_id = $1", request(user).user_id)
    successor = Lease(request(user).user_id, "key", HASH)
    assert [held.acquired for held in await idempotency.reserve(shop.db, [successor], 30)] == [True]
    shop.productfc.gate.set()
    with pytest.raises(RequestInProgress):
        await late
    assert await shop.written_for(user) == (0, 1)
    assert await shop.value("SELECT lease_token FROM idempotency_keys WHERE user_id = $1", successor.user_id) == (
        successor.token
    )


async def test_keys_live_for_the_configured_hours_and_are_then_forgotten(shop: Shop, settings: Settings) -> None:
    young, old = shop.user(), shop.user()
    for user in (young, old):
        await shop.checkout(user, body(), "key")
    await shop.value(
        "UPDATE idempotency_keys SET created_at = now() - interval '49 hours', "
        "leased_until = now() - interval '48 hours' WHERE user_id = $1",
        int(old["X-Test-User"]),
    )
    async with shop.db.driver() as connection:
        assert await idempotency.purge(connection, 10, hours=settings.idempotency_keep_hours) == 1
    assert await shop.written_for(young) == (1, 1)
    assert await shop.written_for(old) == (1, 0)
