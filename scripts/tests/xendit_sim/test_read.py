"""GET of one invoice and of lists: order, filters, pages, and empty results."""

import json
from typing import Any

import pytest

from .conftest import Sim


async def listed(sim: Sim, **params: Any) -> list[str]:
    """Return the external ids of a list."""
    answer = await sim.http.get("/v2/invoices", params=params)
    assert answer.status_code == 200, answer.text
    return [invoice["external_id"] for invoice in answer.json()]


async def refused(sim: Sim, **params: Any) -> list[str]:
    """Send a list call that must be refused and return the invalid parameter."""
    answer = await sim.http.get("/v2/invoices", params=params)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "API_VALIDATION_ERROR")
    (error,) = answer.json()["errors"]
    assert error["location"] == "query"
    return list(error["field"])


async def test_an_unknown_id_is_404_with_xendits_code_and_sentence(sim: Sim) -> None:
    await sim.create()
    answer = await sim.http.get("/v2/invoices/6748105a77f16ebe0cc583a7")
    assert answer.status_code == 404
    assert answer.json() == {
        "error_code": "INVOICE_NOT_FOUND_ERROR",
        "message": "Could not find invoice by id 6748105a77f16ebe0cc583a7",
    }


async def test_a_paid_invoice_shows_what_was_paid_and_how(sim: Sim) -> None:
    made = await sim.create()
    sim.clock.advance(60)
    await sim.act(made, "pay")
    body = await sim.get(made)
    assert (body["status"], body["paid_amount"], body["paid_at"]) == ("PAID", 150_000, "2026-03-01T09:31:00.250Z")
    assert (body["payment_method"], body["payment_channel"]) == ("BANK_TRANSFER", "BCA")
    assert body["updated"] == body["paid_at"]
    assert body["created"] == made["created"]


async def test_settled_shows_on_a_read_and_counts_as_paid(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "pay")
    await sim.act(made, "settle")
    body = await sim.get(made)
    assert (body["status"], body["paid_amount"]) == ("SETTLED", 150_000)


async def test_a_list_is_a_bare_array_newest_first_of_ten(sim: Sim) -> None:
    for number in range(12):
        await sim.create(external_id=f"order-{number}")
    assert await listed(sim) == [f"order-{number}" for number in range(11, 1, -1)]
    assert await listed(sim, limit=3) == ["order-11", "order-10", "order-9"]
    assert len(await listed(sim, limit=100)) == 12


async def test_a_list_shows_the_same_object_as_a_read(sim: Sim) -> None:
    made = await sim.create(metadata={"a": "b"})
    assert (await sim.http.get("/v2/invoices/")).json() == [made]


@pytest.mark.parametrize("cursor", ["last_invoice", "last_invoice_id"])
async def test_the_next_page_begins_after_the_last_invoice_of_this_one(sim: Sim, cursor: str) -> None:
    made = [await sim.create(external_id=f"order-{number}") for number in range(4)]
    assert await listed(sim, limit=2, **{cursor: made[2]["id"]}) == ["order-1", "order-0"]


async def test_no_match_is_an_empty_array(sim: Sim) -> None:
    await sim.create()
    assert await listed(sim, external_id="order-70") == []
    assert await listed(sim, external_id="") == []


async def test_an_external_id_matches_exactly(sim: Sim) -> None:
    for external_id in ("order-7", "order-77", "ORDER-7", "order_7", "order%"):
        await sim.create(external_id=external_id)
    assert await listed(sim, external_id="order-7") == ["order-7"]
    assert await listed(sim, external_id="order%") == ["order%"]


async def test_statuses_may_be_repeated_keys_or_a_json_array(sim: Sim) -> None:
    paid, expired, _ = [await sim.create(external_id=name) for name in ("paid", "expired", "open")]
    await sim.act(paid, "pay")
    await sim.act(expired, "expire")
    assert await listed(sim, statuses="PAID") == ["paid"]
    assert await listed(sim, statuses=["PAID", "EXPIRED"]) == ["expired", "paid"]
    assert await listed(sim, **{"statuses[]": ["PAID", "PENDING"]}) == ["open", "paid"]
    assert await listed(sim, statuses=json.dumps(["EXPIRED", "PENDING"])) == ["open", "expired"]


@pytest.mark.parametrize("statuses", ["paid", "[", "[1]", '["NONE"]', "[" * 5000])
async def test_an_unknown_status_is_refused(sim: Sim, statuses: str) -> None:
    assert await refused(sim, statuses=statuses) == ["statuses"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", "", "٣", "0" * 9 + "100"])
async def test_a_limit_is_1_to_100(sim: Sim, limit: str) -> None:
    assert await refused(sim, limit=limit) == ["limit"]


async def test_periods_of_creation_payment_and_expiry_filter(sim: Sim) -> None:
    first = await sim.create(external_id="first", invoice_duration=8000)  # paid before it could expire at 11:43
    sim.clock.advance(3600)
    second = await sim.create(external_id="second")
    sim.clock.advance(3600)
    await sim.act(first, "pay")
    await sim.act(second, "expire")
    morning = {"after": "2026-03-01T09:00:00Z", "before": "2026-03-01T10:00:00Z"}
    noon = {"after": "2026-03-01T11:00:00Z", "before": "2026-03-01T19:00:00+07:00"}

    def period(name: str, edges: dict[str, str]) -> dict[str, str]:
        return {f"{name}_{edge}": moment for edge, moment in edges.items()}

    assert await listed(sim, **period("created", morning)) == ["first"]
    assert await listed(sim, **period("created", noon)) == []
    assert await listed(sim, **period("paid", noon)) == ["first"]
    assert await listed(sim, **period("paid", morning)) == []
    assert await listed(sim, **period("expired", noon)) == ["second"]
    assert await listed(sim, **period("created", morning), **period("paid", noon)) == ["first"]


@pytest.mark.parametrize("name", ["created", "paid", "expired"])
async def test_half_a_period_is_refused_naming_the_missing_half(sim: Sim, name: str) -> None:
    assert await refused(sim, **{f"{name}_after": "2026-03-01T09:00:00Z"}) == [f"{name}_before"]
    assert await refused(sim, **{f"{name}_before": "2026-03-01T09:00:00Z"}) == [f"{name}_after"]


@pytest.mark.parametrize("moment", ["yesterday", "", "0001-01-01T00:00:00+10:00"])
async def test_a_period_that_is_no_time_is_refused(sim: Sim, moment: str) -> None:
    assert await refused(sim, created_after="2026-03-01T09:00:00Z", created_before=moment) == ["created_before"]
