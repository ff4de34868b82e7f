"""The control API: each route, how switches are set, what is refused, and reset."""

from typing import Any

import httpx2
import pytest

from .conftest import Sim

UNKNOWN = "6748105a77f16ebe0cc583a7"
DEFAULTS = {
    "create_status": None,
    "create_fails_after_commit": 0,
    "create_delay_s": 0,
    "get_status": None,
    "list_status": None,
    "expire_status": None,
    "error_without_message": False,
    "unknown_fields": False,
    "answer_padding": 0,
    "refuse_email": False,
    "rate_limit": None,
    "min_amount": None,
    "max_amount": None,
    "refund_status": None,
    "refund_get_status": None,
    "refund_fails_after_commit": 0,
    "refund_delay_s": 0,
    "refund_outcome": "SUCCEEDED",
    "refund_failure_code": None,
    "refunds_supported": True,
    "auto_pay": False,
    "webhook_before_response": False,
    "late_payment_status": "EXPIRED",
    "expired_webhooks": True,
    "drop_webhooks": False,
    "duplicate_webhooks": 0,
    "delay_webhooks_s": 0,
    "reorder_webhooks": False,
    "wrong_token": False,
    "auto_retry": True,
    "retry_timeouts": False,
    "keep_webhook_id": True,
    "webhook_timeout_s": 30,
}


async def test_it_asks_for_no_key(sim: Sim, anonymous: httpx2.AsyncClient) -> None:
    made = await sim.create()
    assert (await anonymous.post(f"/_sim/invoices/{made['id']}/pay")).status_code == 200
    assert (await anonymous.get("/_sim/invoices")).json()[0]["status"] == "PAID"


async def test_invoices_are_listed_without_limit_with_their_payments(sim: Sim) -> None:
    made = [await sim.create(external_id=f"order-{number}") for number in range(12)]
    await sim.act(made[3], "pay", amount=5, times=2)
    found = (await sim.http.get("/_sim/invoices")).json()
    assert [invoice["external_id"] for invoice in found] == [f"order-{number}" for number in range(11, -1, -1)]
    assert [payment["paid_amount"] for payment in found[8]["payments"]] == [5, 5]
    assert found[0]["payments"] == []
    by_id = (await sim.http.get("/_sim/invoices", params={"external_id": "order-3"})).json()
    by_status = (await sim.http.get("/_sim/invoices", params={"status": "PAID"})).json()
    assert by_id == by_status == [found[8]]


async def test_deliveries_can_be_asked_for_one_invoice(sim: Sim) -> None:
    first, second = await sim.create(), await sim.create()
    await sim.act(first, "pay")
    await sim.tries(1)
    await sim.act(second, "expire")
    await sim.tries(2)
    found = (await sim.http.get("/_sim/deliveries", params={"invoice_id": second["id"]})).json()
    assert [(item["invoice_id"], item["status"]) for item in found] == [(second["id"], "EXPIRED")]


async def test_stats_count_requests_invoices_creates_and_webhooks(sim: Sim) -> None:
    made = await sim.create()
    await sim.create()
    await sim.act(made, "pay")
    await sim.settled()
    await sim.get(made)
    await sim.http.post("/v2/invoices", json={})
    stats = (await sim.http.get("/_sim/stats")).json()
    assert stats == {
        "requests": {"POST /v2/invoices": 3, "GET /v2/invoices/{id}": 1},
        "invoices": {"PENDING": 1, "PAID": 1, "SETTLED": 0, "EXPIRED": 0},
        "creates": {"order-7": 2},
        "webhooks": {"delivered": 1},
    }


@pytest.mark.parametrize("action", ["pay", "expire", "settle", "resend"])
async def test_an_unknown_invoice_is_404(sim: Sim, action: str) -> None:
    answer = await sim.http.post(f"/_sim/invoices/{UNKNOWN}/{action}")
    assert (answer.status_code, answer.json()) == (404, {"detail": f"no invoice {UNKNOWN}"})


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        ("expire", "pay", "the invoice is EXPIRED; money that comes all the same needs after_expiry"),
        ("expire", "expire", "the invoice is EXPIRED"),
        ("expire", "settle", "the invoice is EXPIRED"),
        ("pay", "expire", "the invoice is PAID"),
    ],
)
async def test_what_the_status_does_not_allow_is_409_with_the_reason(
    sim: Sim, first: str, then: str, says: str
) -> None:
    made = await sim.create()
    await sim.act(made, first)
    answer = await sim.http.post(f"/_sim/invoices/{made['id']}/{then}")
    assert (answer.status_code, answer.json()) == (409, {"detail": says})


async def test_a_pending_invoice_cannot_be_settled_and_a_settled_one_can_be_paid_again(sim: Sim) -> None:
    made = await sim.create()
    assert (await sim.http.post(f"/_sim/invoices/{made['id']}/settle")).status_code == 409
    await sim.act(made, "pay")
    await sim.act(made, "settle")
    assert (await sim.act(made, "pay"))["status"] == "SETTLED"
    await sim.merchant.got(2)
    assert sim.merchant.statuses() == ["PAID", "PAID"]


@pytest.mark.parametrize(
    ("action", "body", "names"),
    [
        ("pay", {"amount": 0}, "amount"),
        ("pay", {"amount": -1}, "amount"),
        ("pay", {"amount": "150000"}, "amount"),
        ("pay", {"amount": True}, "amount"),
        ("pay", {"amount": 2**53}, "amount"),
        ("pay", {"times": 0}, "times"),
        ("pay", {"times": 1001}, "times"),
        ("pay", {"times": "2"}, "times"),
        ("pay", {"currency": ""}, "currency"),
        ("pay", {"ammount": 5}, "ammount"),
        ("pay", [], "body"),
        ("resend", {"status": "LOST"}, "status"),
        ("resend", {"parallel": "yes"}, "parallel"),
        ("resend", {"times": 1.5}, "times"),
    ],
)
async def test_bad_input_is_422_with_a_sentence_that_names_it_and_does_nothing(
    sim: Sim, action: str, body: object, names: str
) -> None:
    made = await sim.create()
    answer = await sim.http.post(f"/_sim/invoices/{made['id']}/{action}", json=body)
    assert answer.status_code == 422
    assert names in answer.json()["detail"]
    assert (await sim.get(made))["status"] == "PENDING"


async def test_input_that_json_cannot_write_is_refused_as_well(sim: Sim) -> None:
    for raw in ('{"create_delay_s": NaN}', '{"min_amount": Infinity}', "{", '{"rate_limit": 1e999}', r'{"\ud800": 1}'):
        answer = await sim.http.put("/_sim/faults", content=raw, headers={"content-type": "application/json"})
        assert answer.status_code == 422, raw
        assert answer.json()["detail"].startswith("body")


async def test_switches_are_off_at_first_and_put_answers_what_holds(sim: Sim) -> None:
    assert (await sim.http.get("/_sim/faults")).json() == DEFAULTS
    set_to = await sim.faults(get_status=503, create_delay_s=1.5)
    assert set_to == DEFAULTS | {"get_status": {"status": 503, "times": None}, "create_delay_s": 1.5}
    assert (await sim.http.get("/_sim/faults")).json() == set_to


async def test_a_switch_not_named_or_null_goes_back_to_its_default(sim: Sim) -> None:
    await sim.faults(wrong_token=True, duplicate_webhooks=3, webhook_timeout_s=1)
    assert await sim.faults(duplicate_webhooks=None, webhook_timeout_s=None) == DEFAULTS


@pytest.mark.parametrize(
    "switches",
    [
        {"creat_status": 500},
        {"create_status": 200},
        {"create_status": 600},
        {"create_status": True},
        {"create_status": {"status": 500, "times": -1}},
        {"create_status": {"times": 1}},
        {"create_status": {"status": 500, "time": 1}},
        {"create_fails_after_commit": -1},
        {"create_fails_after_commit": True},
        {"create_delay_s": -1},
        {"create_delay_s": 601},
        {"create_delay_s": "1"},
        {"error_without_message": "true"},
        {"rate_limit": 0},
        {"min_amount": "5"},
        {"late_payment_status": "SETTLED"},
        {"refund_outcome": "DONE"},
        {"refund_failure_code": "no code"},
        {"drop_webhooks": -1},
        {"drop_webhooks": 1.5},
        {"drop_webhooks": "all"},
        {"duplicate_webhooks": True},
        {"delay_webhooks_s": 601},
        {"webhook_timeout_s": 0},
        {"wrong_token": 1},
    ],
)
async def test_a_switch_that_is_misspelt_or_makes_no_sense_is_refused_by_name_and_changes_nothing(
    sim: Sim, switches: dict[str, Any]
) -> None:
    before = await sim.faults(auto_pay=True)
    answer = await sim.http.put("/_sim/faults", json=switches)
    assert answer.status_code == 422
    assert next(iter(switches)) in answer.json()["detail"]
    assert (await sim.http.get("/_sim/faults")).json() == before


async def test_a_reset_forgets_everything_and_stops_what_was_on_its_way(sim: Sim) -> None:
    sim.sleep.blocked = True
    sim.merchant.answers.append(500)
    made = await sim.create()
    await sim.act(made, "pay")
    await sim.tries(1)
    await sim.faults(reorder_webhooks=True, rate_limit=5)
    await sim.act(made, "pay")
    for _ in range(5):
        await sim.http.get("/v2/invoices")
    assert (await sim.http.post("/_sim/reset")).json() == {"status": "reset"}
    assert (await sim.http.get("/_sim/invoices")).json() == []
    assert (await sim.http.get("/_sim/deliveries")).json() == []
    assert (await sim.http.get("/_sim/faults")).json() == DEFAULTS
    assert (await sim.http.get("/_sim/stats")).json() == {
        "requests": {},
        "invoices": {"PENDING": 0, "PAID": 0, "SETTLED": 0, "EXPIRED": 0},
        "creates": {},
        "webhooks": {},
    }
    assert not sim.inside.webhooks._tasks
    answer = await sim.http.get("/v2/invoices")
    assert (answer.status_code, answer.headers["rate-limit-remaining"]) == (200, "599")
    assert len(sim.merchant.callbacks) == 1
