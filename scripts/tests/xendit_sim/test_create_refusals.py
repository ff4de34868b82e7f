"""POST /v2/invoices refuses what Xendit refuses, in Xendit's words."""

from typing import Any

import pytest

from .conftest import ITEM, Sim


async def refusal(sim: Sim, **fields: Any) -> dict[str, Any]:
    """Send a create call that must be refused with 400 and return the body."""
    answer = await sim.http.post("/v2/invoices", json={"external_id": "order-7", "amount": 150_000, **fields})
    assert answer.status_code == 400, answer.text
    assert (await sim.http.get("/v2/invoices")).json() == []
    return dict(answer.json())


async def test_less_than_one_rupiah_is_refused_for_what_truncation_leaves_of_it(sim: Sim) -> None:
    assert (await refusal(sim, amount=0.99))["errors"][0]["types"] == ["number.greater"]


async def test_a_refusal_has_the_shape_that_xendit_was_seen_to_answer(sim: Sim) -> None:
    assert await refusal(sim, invoice_duration=0) == {
        "error_code": "API_VALIDATION_ERROR",
        "message": "There was an error with the format submitted to the server.",
        "errors": [
            {
                "field": ["invoice_duration"],
                "location": "body",
                "messages": ['"invoice_duration" must be greater than 0'],
                "types": ["number.greater"],
            }
        ],
    }


@pytest.mark.parametrize(
    ("fields", "path", "kind"),
    [
        ({"external_id": 7}, ["external_id"], "string.base"),
        ({"external_id": ""}, ["external_id"], "any.empty"),
        ({"external_id": "x" * 256}, ["external_id"], "string.max"),
        ({"amount": "150000"}, ["amount"], "number.base"),
        ({"amount": None}, ["amount"], "number.base"),
        ({"amount": True}, ["amount"], "number.base"),
        ({"amount": 0}, ["amount"], "number.greater"),
        ({"amount": -5}, ["amount"], "number.greater"),
        ({"amount": 2**53}, ["amount"], "number.unsafe"),
        ({"invoice_duration": "3600"}, ["invoice_duration"], "number.integer"),
        ({"invoice_duration": 1.5}, ["invoice_duration"], "number.integer"),
        ({"invoice_duration": 31_536_001}, ["invoice_duration"], "number.max"),
        ({"description": ""}, ["description"], "any.empty"),
        ({"success_redirect_url": "h" * 256}, ["success_redirect_url"], "string.max"),
        ({"customer": []}, ["customer"], "object.base"),
        ({"metadata": "x"}, ["metadata"], "object.base"),
        ({"metadata": {str(n): "" for n in range(51)}}, ["metadata"], "object.max"),
        ({"metadata": {"k" * 41: ""}}, ["metadata"], "object.length"),
        ({"metadata": {"k": "v" * 501}}, ["metadata"], "object.length"),
        ({"should_send_email": "yes"}, ["should_send_email"], "boolean.base"),
        ({"items": {}}, ["items"], "array.base"),
        ({"items": [ITEM] * 76}, ["items"], "array.max"),
        ({"items": [ITEM, 3]}, ["items", 1], "object.base"),
        ({"items": [ITEM, {**ITEM, "quantity": -1}]}, ["items", 1, "quantity"], "number.min"),
        ({"items": [{**ITEM, "quantity": 510_001}]}, ["items", 0, "quantity"], "number.max"),
        ({"items": [{"price": 1, "quantity": 1}]}, ["items", 0, "name"], "any.required"),
        ({"items": [{**ITEM, "name": "x" * 257}]}, ["items", 0, "name"], "string.max"),
        ({"fees": [{"type": "x", "value": 1}] * 11}, ["fees"], "array.max"),
        ({"fees": [{"type": "x"}]}, ["fees", 0, "value"], "any.required"),
        ({"payment_methods": "BCA"}, ["payment_methods"], "array.base"),
        ({"payment_methods": ["BCA", 4]}, ["payment_methods", 1], "string.base"),
        ({"currency": 360}, ["currency"], "string.base"),
        ({"reminder_time": "1"}, ["reminder_time"], "number.base"),
    ],
)
async def test_a_field_at_fault_is_named_with_the_kind_of_fault(
    sim: Sim, fields: dict[str, Any], path: list[str | int], kind: str
) -> None:
    body = await refusal(sim, **fields)
    assert body["error_code"] == "API_VALIDATION_ERROR"
    assert [(error["field"], error["types"]) for error in body["errors"]] == [(path, [kind])]
    assert body["errors"][0]["messages"][0].startswith(f'"{path[-1]}" ')


async def test_all_fields_at_fault_are_listed_at_once(sim: Sim) -> None:
    answer = await sim.http.post("/v2/invoices", json={"items": [{}], "invoice_duration": 0})
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == [
        ["external_id"],
        ["amount"],
        ["invoice_duration"],
        ["items", 0, "name"],
        ["items", 0, "price"],
        ["items", 0, "quantity"],
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"currency": "EUR"}, "UNSUPPORTED_CURRENCY"),
        ({"currency": "idr"}, "UNSUPPORTED_CURRENCY"),
        ({"payer_email": "nobody"}, "EMAIL_FORMAT_ERROR"),
        ({"customer": {"email": "a@b"}}, "EMAIL_FORMAT_ERROR"),
        ({"customer": {"email": 5}}, "EMAIL_FORMAT_ERROR"),
        ({"reminder_time": 31, "reminder_time_unit": "days"}, "INVALID_REMINDER_TIME"),
        ({"reminder_time": 25, "reminder_time_unit": "hours"}, "INVALID_REMINDER_TIME"),
        ({"reminder_time": 1, "reminder_time_unit": "weeks"}, "INVALID_REMINDER_TIME"),
    ],
)
async def test_some_faults_have_a_code_of_their_own(sim: Sim, fields: dict[str, Any], code: str) -> None:
    body = await refusal(sim, **fields)
    assert body["error_code"] == code
    assert body["message"]


async def test_a_reminder_within_its_limits_is_taken(sim: Sim) -> None:
    await sim.create(reminder_time=24, reminder_time_unit="hours")
    await sim.create(reminder_time=30, reminder_time_unit="days")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"external_id=order-7&amount=1",
        b'{"amount": NaN}',
        b'{"amount": 1e99999999999999999999}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"amount": 1' + b"0" * 5000 + b"}",
    ],
)
async def test_a_body_that_is_not_json_is_refused_as_such(sim: Sim, raw: bytes) -> None:
    answer = await sim.http.post("/v2/invoices", content=raw)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_JSON_FORMAT"


@pytest.mark.parametrize("raw", ["[]", "null", "7", '"text"'])
async def test_json_that_is_no_object_is_a_validation_error(sim: Sim, raw: str) -> None:
    answer = await sim.http.post("/v2/invoices", content=raw)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["types"] == ["object.base"]


@pytest.mark.parametrize("amount", ["1e9999999", "-1e9999999", "1e400"])
async def test_a_number_beyond_all_floats_is_refused_and_breaks_nothing(sim: Sim, amount: str) -> None:
    raw = f'{{"external_id": "order-7", "amount": {amount}}}'
    answer = await sim.http.post("/v2/invoices", content=raw)
    assert answer.json()["errors"][0]["types"] == ["number.unsafe"]


async def test_what_json_can_hold_and_utf8_or_floats_cannot_is_replaced_as_javascript_would(sim: Sim) -> None:
    raw = r'{"external_id": "o-\ud800-\ud83d\ude00", "amount": 5, "metadata": {"far": 1e999, "half": "\udc00"}}'
    body = (await sim.http.post("/v2/invoices", content=raw)).json()
    assert body["external_id"] == "o-�-😀"
    assert body["metadata"] == {"far": None, "half": "�"}
    assert (await sim.http.get("/v2/invoices", params={"external_id": "o-�-😀"})).json() == [body]


async def test_an_amount_too_small_for_a_float_is_not_an_invoice_of_nothing(sim: Sim) -> None:
    raw = '{"external_id": "order-7", "amount": 1e-999, "currency": "USD"}'
    assert (await sim.http.post("/v2/invoices", content=raw)).json()["errors"][0]["types"] == ["number.greater"]
