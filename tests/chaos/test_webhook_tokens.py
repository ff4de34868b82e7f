"""Callbacks without the right token are refused."""

import orjson
import pytest

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.payments import (
    assert_paid_once,
    callback_token,
    callbacks,
    control_api,
    paid_without_callback,
    post_callback,
)


@pytest.mark.fault(50)
async def test_a_callback_without_the_token_is_turned_away_before_its_body_is_looked_at(arena: Arena) -> None:
    order, body = await paid_without_callback(arena)
    right = callback_token(arena).encode()
    wrong = [b"", b"wrong", right[:-1], right + b"x", right.upper(), b"t\xc3\xb6ken", b"\xff\xfe", b"null", b"a" * 8000]
    for given in wrong:
        for content in (orjson.dumps(body), b"{", b"\xff" * 100_000):
            answer = await post_callback(arena, content, given=given)
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_callback_token"), given
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/xendit/webhook"
    for headers in ({}, {"authorization": f"Bearer {callback_token(arena)}"}, arena.alice.headers):
        answer = await arena.client.post(
            url, headers=headers, params={"x-callback-token": callback_token(arena)}, json=body
        )
        assert answer.status_code == 401
    async with arena.back_office.faults({"wrong_token": True}):
        await control_api(arena, f"invoices/{body['id']}/resend", {})
        assert await arena.shop.deliveries(body["id"], 1) == [401]
    assert await callbacks(arena, order) == []
    assert (await post_callback(arena, body)).status_code == 200
    arena.healed()
    await assert_paid_once(arena, order)
    await arena.exact()


@pytest.mark.fault(50)
async def test_no_token_opens_a_service_that_was_given_none_and_production_does_not_start_so(arena: Arena) -> None:
    order, body = await paid_without_callback(arena)
    async with arena.replaced("paymentfc", {"XENDIT_WEBHOOK_TOKEN": ""}) as shut:
        for given in (b"", b"development-webhook-token", b"None", callback_token(arena).encode()):
            assert (await post_callback(arena, body, given=given)).status_code == 401, given
        without = await arena.client.post(f"{shut.url}/v1/payments/xendit/webhook", json=body)
        assert without.status_code == 401
        assert await callbacks(arena, order) == []
    production = {"ENVIRONMENT": "production", "XENDIT_WEBHOOK_TOKEN": "", "MONGO_URI": "mongodb://localhost"}
    size = shut.log.stat().st_size
    async with arena.replaced("paymentfc", production, ready=False) as refused:
        assert await refused.exit_code() == 1
    assert b"setting XENDIT_WEBHOOK_TOKEN: is missing" in refused.log.read_bytes()[size:]
    await arena.sql("paymentfc", "UPDATE payments SET check_after = NULL WHERE order_id = $1", order)
    await assert_paid_once(arena, order)
    await arena.exact()
    assert await callbacks(arena, order) == []
