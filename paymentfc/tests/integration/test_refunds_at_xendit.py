"""Refunds at Xendit: approved, sent once, followed to their end, by one or several workers and with any fault."""

import asyncio
from decimal import Decimal

import httpx2
import pytest

from paymentfc.errors import RefundNotOpen

from .bench import Bench, bearer
from .refund_counter import Counter
from .refund_steps import ask, paid
from .test_refunds import twice


async def test_a_refund_that_is_due_waits_for_an_administrator(counter: Counter) -> None:
    refund_id = await counter.due()
    assert await counter.work_later() == 0
    assert counter.gateway.calls == []
    assert await counter.status(refund_id) == "DUE"


async def test_an_approved_refund_is_made_once_and_ends_as_xendit_says(counter: Counter) -> None:
    refund_id = await counter.approved()
    assert await counter.status(refund_id) == "REQUESTED"
    await counter.work()
    row = await counter.row(refund_id)
    assert (row["status"], row["attempts"]) == ("SUCCEEDED", 1)
    assert row["gateway_id"] == counter.gateway.made[f"refund-{refund_id}"].id
    assert counter.gateway.calls == ["create"]
    assert await counter.entries(refund_id) == ["due", "requested", "succeeded"]
    resolved = "SELECT note FROM payment_anomalies WHERE resolved_at IS NOT NULL"
    assert await counter.bench.rows(resolved) == [{"note": f"given back by refund-{refund_id}"}]
    assert await counter.work_later() == 0


async def test_a_refund_that_is_approved_twice_at_once_is_sent_once(counter: Counter, others: list[Counter]) -> None:
    refund_id = await counter.due()
    answers = await asyncio.gather(*(other.approve(refund_id) for other in others * 2))
    assert {str(answer.status) for answer in answers} == {"REQUESTED"}
    await asyncio.gather(*(other.work() for other in others))
    assert (await counter.approve(refund_id)).status == "SUCCEEDED"
    assert counter.gateway.calls == ["create"]
    assert await counter.entries(refund_id) == ["due", "requested", "succeeded"]


async def test_in_automatic_mode_what_xendit_has_confirmed_needs_nobody(bench: Bench, counter: Counter) -> None:
    automatic = Counter(bench, counter.gateway, refund_mode="automatic")
    late_one = await counter.due()
    further = await bench.invoiced()
    await twice(bench, further)
    await automatic.work()
    assert await counter.status(late_one) == "SUCCEEDED"
    assert await counter.entries(late_one) == ["due", "requested", "succeeded"]
    # Further payments stand on the word of a callback.
    assert await bench.rows("SELECT DISTINCT status FROM refunds WHERE cause = 'paid_twice'") == [{"status": "DUE"}]


async def test_a_made_up_wrong_amount_of_a_paid_order_is_not_given_back_by_itself(
    bench: Bench, counter: Counter, http: httpx2.AsyncClient
) -> None:
    automatic, admin = Counter(bench, counter.gateway, refund_mode="automatic"), bearer(bench.settings, 9, "admin")
    payment = await bench.invoiced()
    await bench.receive(bench.about(payment, paid_amount=Decimal(50_000)))
    await bench.callback(payment)
    [row] = (await http.get("/v1/payments/anomalies", headers=admin)).json()["items"]
    url, body = f"/v1/payments/anomalies/{row['id']}/resolve", {"note": "x", "action": "close"}
    assert (await http.post(url, headers=admin, json=body)).status_code == 200
    await automatic.work_later()
    assert await counter.status(await counter.of(payment)) == "DUE"
    assert counter.gateway.calls == []


@pytest.mark.parametrize(("word", "code"), [("FAILED", "INSUFFICIENT_BALANCE"), ("CANCELLED", "CANCELLED")])
async def test_a_refund_that_fails_says_why_and_is_settled_by_a_person(
    counter: Counter, http: httpx2.AsyncClient, word: str, code: str
) -> None:
    counter.gateway.outcome = word
    refund_id = await counter.approved()
    await counter.work()
    row = await counter.row(refund_id)
    assert (row["status"], row["failure_code"]) == ("FAILED", code)
    with pytest.raises(RefundNotOpen):
        await counter.approve(refund_id)
    admin = bearer(counter.bench.settings, 9, "admin")
    answer = await http.post(f"/v1/payments/refunds/{refund_id}/settle", headers=admin, json={"note": "by hand"})
    assert (answer.status_code, answer.json()["status"]) == (200, "SETTLED")
    assert await counter.entries(refund_id) == ["due", "requested", "failed", "settled"]


async def test_a_channel_that_can_not_refund_leaves_it_to_a_person(counter: Counter, http: httpx2.AsyncClient) -> None:
    counter.gateway.faults = ["400 REFUND_NOT_SUPPORTED"]
    refund_id = await counter.approved()
    await counter.work()
    row = await counter.row(refund_id)
    assert (row["status"], row["failure_code"]) == ("MANUAL", "REFUND_NOT_SUPPORTED")
    assert await counter.work_later() == 0
    admin = bearer(counter.bench.settings, 9, "admin")
    listed = (await http.get("/v1/payments/refunds?status=MANUAL", headers=admin)).json()["items"]
    assert [item["failure_code"] for item in listed] == ["REFUND_NOT_SUPPORTED"]
    answer = await http.post(f"/v1/payments/refunds/{refund_id}/settle", headers=admin, json={"note": "by hand"})
    assert answer.json()["status"] == "SETTLED"


@pytest.mark.parametrize(
    "fault", ["down", "busy", "401 INVALID_API_KEY", "403 REQUEST_FORBIDDEN_ERROR", "409 REFUND_IN_PROGRESS"]
)
async def test_what_says_nothing_of_the_refund_is_tried_again(counter: Counter, fault: str) -> None:
    counter.gateway.faults = [fault] * 3
    refund_id = await counter.approved()
    await counter.work()
    assert await counter.status(refund_id) == "REQUESTED"
    assert await counter.work() == 0, "it waits before the next try"
    while counter.gateway.faults:
        await counter.work_later()
    await counter.work_later()
    assert await counter.status(refund_id) == "SUCCEEDED"
    assert len(counter.gateway.made) == 1


@pytest.mark.parametrize("times", [1, 3])
async def test_a_refund_whose_answer_is_lost_is_looked_up_and_not_made_twice(counter: Counter, times: int) -> None:
    counter.gateway.faults = ["commit_then_fail"]
    refund_id = await counter.approved()
    await counter.work()
    counter.gateway.faults = ["down"] * (times - 1)
    for _ in range(times):
        await counter.work_later()
    assert await counter.status(refund_id) == "SUCCEEDED"
    assert counter.gateway.calls.count("create") == 1
    assert len(counter.gateway.made) == 1


async def test_a_worker_that_dies_after_the_call_is_followed_by_another(counter: Counter) -> None:
    """Kill before the answer is stored, by leaving it out; the lease ends."""
    refund_id = await counter.approved()
    [claimed] = await counter.sending.claim(8)
    await counter.gateway.create(claimed)
    assert await counter.work() == 0, "the lease holds"
    await counter.work_later()
    assert await counter.status(refund_id) == "SUCCEEDED"
    assert counter.gateway.calls == ["create", "find"]


async def test_workers_at_the_same_time_share_the_refunds(counter: Counter, others: list[Counter]) -> None:
    for _ in range(12):
        await counter.approved()
    await asyncio.gather(*(other.work() for other in others))
    assert counter.gateway.calls == ["create"] * 12
    assert await counter.bench.rows("SELECT DISTINCT status FROM refunds") == [{"status": "SUCCEEDED"}]


@pytest.mark.parametrize("word", ["SUCCEEDED", "FAILED"])
async def test_a_pending_refund_is_followed_by_polling_when_its_callback_is_lost(counter: Counter, word: str) -> None:
    counter.gateway.outcome = "PENDING"
    refund_id = await counter.approved()
    for _ in range(3):
        await counter.work_later()
        assert await counter.status(refund_id) == "REQUESTED"
    counter.gateway.end(refund_id, word)
    await counter.work_later()
    assert await counter.status(refund_id) == word
    assert counter.gateway.calls == ["create", "get", "get", "get"]


async def test_the_longer_a_refund_is_pending_the_less_often_it_is_asked_for(bench: Bench, counter: Counter) -> None:
    patient = Counter(bench, counter.gateway, refund_poll_interval_s=60)
    counter.gateway.outcome = "PENDING"
    refund_id = await counter.approved()
    waits = []
    for _ in range(10):
        await patient.work_later()
        [row] = await bench.rows("SELECT extract(epoch FROM due_at - now())::float8 AS s FROM refunds")
        waits.append(row["s"])
    assert 45 < waits[0] < 73
    assert waits[3] > 3 * waits[0]
    assert max(waits) < 3600 * 1.2 + 1
    assert await counter.status(refund_id) == "REQUESTED"


async def test_a_refund_on_its_way_is_not_settled_by_hand_and_a_settled_one_is_not_sent(
    counter: Counter, http: httpx2.AsyncClient
) -> None:
    admin = bearer(counter.bench.settings, 9, "admin")
    sent, settled = await counter.approved(), await counter.due()

    async def post(refund_id: int, action: str) -> tuple[int, str | None]:
        url = f"/v1/payments/refunds/{refund_id}/{action}"
        answer = await http.post(url, headers=admin, json={"note": "x"} if action == "settle" else None)
        return answer.status_code, answer.json().get("code")

    assert await post(sent, "settle") == (409, "refund_not_open")
    await counter.work()
    assert await post(sent, "settle") == (409, "refund_not_open")
    assert await post(settled, "settle") == (200, None)
    assert await post(settled, "approve") == (409, "refund_not_open")
    assert await post(2**62, "approve") == (404, "not_found")
    assert counter.gateway.calls == ["create"]


async def test_parts_that_an_administrator_asks_for_are_sent_with_their_own_names(
    counter: Counter, http: httpx2.AsyncClient
) -> None:
    admin = bearer(counter.bench.settings, 9, "admin")
    payment = await paid(counter.bench)
    for amount in (50_000, 100_000):
        refund_id = (await ask(http, admin, payment.order_id, amount=amount)).json()["id"]
        assert (await http.post(f"/v1/payments/refunds/{refund_id}/approve", headers=admin)).status_code == 200
    await counter.work()
    assert sorted(answer.amount for answer in counter.gateway.made.values()) == [50_000, 100_000]
