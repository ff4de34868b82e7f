"""Xendit's callbacks about refunds: stored, and followed by a look; none of them ends a refund itself."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from .conftest import TOKEN
from .refund_counter import Counter

WEBHOOK = "/v1/payments/xendit/refund-webhook"


@pytest.mark.parametrize("word", ["SUCCEEDED", "FAILED"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_callback_has_the_refund_looked_at_now(counter: Counter, word: str, times: int) -> None:
    counter.gateway.outcome = "PENDING"
    refund_id = await counter.approved()
    await counter.work()
    counter.gateway.end(refund_id, word)
    assert [await counter.told(refund_id, word) for _ in range(times)] == [True] * times
    assert await counter.work() == 1
    assert await counter.status(refund_id) == word
    assert await counter.told(refund_id, word) is False
    assert await counter.bench.rows("SELECT deliveries FROM refund_callbacks") == [{"deliveries": times + 1}]
    assert (await counter.entries(refund_id))[2:] == [word.lower()]


async def test_a_made_up_callback_ends_nothing(counter: Counter) -> None:
    counter.gateway.outcome = "PENDING"
    sent, due = await counter.approved(), await counter.due()
    await counter.work()
    assert await counter.told(sent) is True
    for refund_id, fields in ((due, {}), (sent + due, {}), (sent, {"reference": "x"}), (sent, {"reference": None})):
        assert await counter.told(refund_id, **fields) is False
    await counter.work()
    assert [await counter.status(each) for each in (sent, due)] == ["REQUESTED", "DUE"]


@pytest.mark.parametrize("word", ["SUCCEEDED", "FAILED"])
async def test_a_success_of_a_refund_that_is_left_to_a_person_is_a_warning(counter: Counter, word: str) -> None:
    counter.gateway.faults = ["400 REFUND_NOT_SUPPORTED"]
    refund_id = await counter.approved()
    await counter.work()
    with capture_logs() as lines:
        await counter.told(refund_id, word)
    warned = [(line["refund_id"], line["status"]) for line in lines if line["log_level"] == "warning"]
    assert warned == ([(refund_id, "MANUAL")] if word == "SUCCEEDED" else [])


async def test_a_callback_before_the_answer_is_stored_loses_nothing(counter: Counter) -> None:
    refund_id = await counter.approved()

    async def overtake() -> None:
        assert await counter.told(refund_id) is True

    counter.gateway.after = overtake
    await counter.work()
    await counter.work()
    assert await counter.status(refund_id) == "SUCCEEDED"
    assert await counter.entries(refund_id) == ["due", "requested", "succeeded"]
    assert len(counter.gateway.made) == 1


async def test_a_pending_answer_that_a_callback_overtakes_is_looked_up_again(counter: Counter) -> None:
    counter.gateway.outcome = "PENDING"
    refund_id = await counter.approved()

    async def overtake() -> None:
        counter.gateway.end(refund_id)
        await counter.told(refund_id)

    counter.gateway.after = overtake
    await counter.work()
    await counter.work()
    assert await counter.status(refund_id) == "SUCCEEDED"
    assert len(counter.gateway.made) == 1


async def test_a_refund_that_is_polled_and_told_at_once_ends_once(counter: Counter, others: list[Counter]) -> None:
    counter.gateway.outcome = "PENDING"
    refund_id = await counter.approved()
    await counter.work()
    counter.gateway.end(refund_id)
    for _ in range(3):
        await counter.bench.execute("UPDATE refunds SET due_at = now()")
        await asyncio.gather(*(other.work() for other in others), *(counter.told(refund_id) for _ in range(3)))
    await counter.work()
    assert await counter.entries(refund_id) == ["due", "requested", "succeeded"]


BODY: dict[str, Any] = {
    "event": "refund.succeeded",
    "business_id": "6094fa76c2fd53701b8e079c",
    "data": {"id": "rfd-1", "reference_id": "refund-1", "status": "SUCCEEDED", "amount": 150_000, "currency": "IDR"},
}


async def test_the_webhook_stores_what_it_is_told_with_the_token_only(
    counter: Counter, http: httpx2.AsyncClient
) -> None:
    for token in (None, "wrong"):
        headers = {} if token is None else {"x-callback-token": token}
        answer = await http.post(WEBHOOK, json=BODY, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_callback_token")
    counter.gateway.outcome = "PENDING"
    refund_id = await counter.approved()
    await counter.work()
    good = [(b"x-callback-token", TOKEN.encode()), (b"webhook-id", b"w-1")]
    # The second form has two envelopes, as a sample of Xendit's documents.
    told = {**BODY, "data": {**BODY["data"], "reference_id": f"refund-{refund_id}"}}
    for body in (told, {**BODY, "data": told}):
        answer = await http.post(WEBHOOK, json=body, headers=good)
        assert (answer.status_code, answer.json()) == (200, {"message": "webhook processed"})
    stored = "SELECT reference_id, deliveries, webhook_id, body FROM refund_callbacks"
    [row] = await counter.bench.rows(stored)
    assert (row["reference_id"], row["deliveries"], row["webhook_id"]) == (f"refund-{refund_id}", 2, "w-1")
    assert json.loads(row["body"]) == told
    counter.gateway.end(refund_id)
    assert await counter.work() == 1
    assert await counter.status(refund_id) == "SUCCEEDED"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"event": "refund.succeeded"},
        {**BODY, "data": {}},
        {**BODY, "data": {**BODY["data"], "amount": "150000"}},
        {**BODY, "data": {**BODY["data"], "status": ""}},
        {**BODY, "event": None},
    ],
)
async def test_a_body_that_is_no_refund_callback_is_400(http: httpx2.AsyncClient, body: object) -> None:
    answer = await http.post(WEBHOOK, json=body, headers=[(b"x-callback-token", TOKEN.encode())])
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
