"""The page of the money: what is open, and what a person does about it."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from .browser import ORIGIN, Browser

TIME = "2026-11-25T08:45:12Z"
HOSTILE = "<script>alert(1)</script>"
LIST = "paymentfc/v1/payments"


def anomaly(**given: Any) -> dict[str, Any]:
    row = {
        "id": 3,
        "order_id": 42,
        "external_id": "order-42",
        "kind": "paid_after_close",
        "expected": "EXPIRED",
        "received": "PAID",
        "resolved_at": None,
        "note": None,
        "create_time": TIME,
    }
    return row | given


def refund(**given: Any) -> dict[str, Any]:
    row = {
        "id": 4,
        "order_id": 42,
        "invoice_id": "i",
        "payment_id": 12,
        "amount": 90000,
        "currency": "IDR",
        "cause": "paid_after_close",
        "status": "DUE",
        "failure_code": None,
        "attempts": 0,
        "note": None,
        "create_time": TIME,
        "update_time": TIME,
    }
    return row | given


def page(*rows: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    return {"items": list(rows), "total": len(rows) if total is None else total, "page": 1, "page_size": 20}


def failed(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"total_failed_payments": len(rows), "payment_list": list(rows)}


@pytest.fixture
def shown(browser: Browser) -> Browser:
    browser.sign_in()
    items: dict[str, list[Any]] = {
        name: [] for name in ("callbacks", "confirmations", "anomalies", "refunds", "closings")
    }
    items["refunds"] = [refund()]
    items["callbacks"] = [
        {
            "external_id": "order-9",
            "invoice_id": "early",
            "status": "PAID",
            "amount": "90000",
            "currency": "IDR",
            "deliveries": 2,
            "create_time": TIME,
        }
    ]
    browser.platform.more |= {
        f"{LIST}/anomalies": _by("resolved", {"false": page(anomaly())}),
        f"{LIST}/refunds": _by("status", {"DUE": page(refund()), "FAILED": page(refund(id=5, status="FAILED"))}),
        f"{LIST}/failed": failed(
            {
                "id": 1,
                "order_id": 7,
                "user_id": 3,
                "amount": 5000,
                "user_email": HOSTILE,
                "status": "FAILED",
                "retry_count": 4,
                "notes": "invoice_failed",
                "create_time": TIME,
                "update_time": TIME,
            }
        ),
        "paymentfc/v1/admin/payments/open-items": items,
    }
    return browser


def _by(name: str, answers: dict[str, Any]) -> Callable[[httpx2.Request], Any]:
    return lambda request: answers.get(request.url.params.get(name, ""), page())


def posted(browser: Browser) -> list[tuple[str, Any]]:
    """Return path and body of what the console has asked the services to do."""
    return [
        (request.url.path, json.loads(request.content or b"null"))
        for request in browser.platform.asked
        if request.method == "POST"
    ]


async def act(browser: Browser, path: str, **fields: str) -> httpx2.Response:
    return await browser.post(path, ORIGIN, form=await browser.form("/money"), **fields)


async def test_open_anomalies_come_first_with_what_is_still_due(shown: Browser) -> None:
    text = (await shown.get("/money")).text
    for part in ("paid after close", "Anomalies 1", "Refunds 2", "Callbacks without a payment 1", 'href="/orders/42"'):
        assert part in text
    assert "A refund of this order is due" in text
    assert 'href="/money/invoices/42.pdf"' in text
    resolved = (await shown.get("/money?resolved=true")).text
    assert "No anomaly is resolved" in resolved


async def test_refunds_are_shown_by_status_each_with_what_may_be_done(shown: Browser) -> None:
    due = (await shown.get("/money?tab=refunds")).text
    assert "/money/refunds/4/approve" in due
    assert "/money/refunds/4/settle" in due
    failed_ones = (await shown.get("/money?tab=refunds&status=FAILED")).text
    assert "/money/refunds/5/settle" in failed_ones
    assert "/approve" not in failed_ones
    assert "refund-5" in failed_ones
    assert "No refund is manual" in (await shown.get("/money?tab=refunds&status=MANUAL")).text


async def test_failed_payments_and_early_callbacks_are_listed_as_text(shown: Browser) -> None:
    text = (await shown.get("/money?tab=failed")).text
    assert "invoice failed" in text
    assert HOSTILE not in text
    callbacks = (await shown.get("/money?tab=callbacks")).text
    assert "early" in callbacks
    assert "order-9" in callbacks


async def test_a_long_list_has_a_next_page(shown: Browser) -> None:
    shown.platform.more[f"{LIST}/anomalies"] = page(anomaly(), total=45)
    text = (await shown.get("/money?page=2")).text
    assert 'href="/money?tab=anomalies&amp;status=DUE&amp;resolved=false&amp;page=3"' in text
    assert "Next page" not in (await shown.get("/money?page=3")).text


async def test_an_anomaly_is_resolved_with_a_note_and_a_refund_that_stays_due_is_told(shown: Browser) -> None:
    shown.platform.more[f"{LIST}/anomalies/3/resolve"] = anomaly(resolved_at=TIME)
    answer = await act(shown, "/money/anomalies/3/resolve", note=" given back ")
    assert answer.status_code == 303
    assert posted(shown) == [("/v1/payments/anomalies/3/resolve", {"note": "given back"})]
    assert "the refund of its order is still due" in (await shown.get(answer.headers["location"])).text
    shown.platform.more[f"{LIST}/refunds"] = page()
    answer = await act(shown, "/money/anomalies/3/resolve", note="given back", close="yes")
    assert posted(shown)[-1][1] == {"note": "given back", "action": "close"}
    assert "The anomaly is resolved.<" in (await shown.get(answer.headers["location"])).text


async def test_a_refund_is_approved_and_settled(shown: Browser) -> None:
    shown.platform.more |= {f"{LIST}/refunds/4/approve": refund(), f"{LIST}/refunds/4/settle": refund()}
    approved = await act(shown, "/money/refunds/4/approve")
    assert "Xendit is asked" in (await shown.get(approved.headers["location"])).text
    settled = await act(shown, "/money/refunds/4/settle", note="by bank transfer")
    assert "The refund is settled" in (await shown.get(settled.headers["location"])).text
    assert [path for path, _ in posted(shown)] == ["/v1/payments/refunds/4/approve", "/v1/payments/refunds/4/settle"]


@pytest.mark.parametrize("note", ["", "  ", "x" * 1001])
@pytest.mark.parametrize("path", ["/money/anomalies/3/resolve", "/money/refunds/4/settle"])
async def test_a_note_is_needed(shown: Browser, path: str, note: str) -> None:
    answer = await act(shown, path, note=note)
    assert (answer.status_code, posted(shown)) == (400, [])
    assert "A note is needed" in answer.text


async def test_what_paymentfc_refuses_is_said_and_the_list_stays(shown: Browser) -> None:
    answer = await act(shown, "/money/refunds/77/approve")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    shown.platform.away = {"paymentfc"}
    answer = await act(shown, "/money/refunds/4/settle", note="n")
    assert "look whether it was done before you try again" in answer.text
    assert 'data-hx-sse-connect="/live/money?tab=refunds' in answer.text


@pytest.mark.parametrize("path", ["anomalies/3/resolve", "refunds/4/approve", "refunds/4/settle"])
async def test_a_form_of_another_site_changes_nothing(shown: Browser, path: str) -> None:
    form = await shown.form("/money")
    for origin, token in [("http://evil.example", form), (ORIGIN, "0" * 64)]:
        answer = await shown.post(f"/money/{path}", origin, form=token, note="n")
        assert (answer.status_code, posted(shown)) == (403, [])


async def test_the_invoice_comes_through_the_console(shown: Browser) -> None:
    answer = await shown.get("/money/invoices/42.pdf")
    assert answer.status_code == 404
    shown.platform.more[f"{LIST}/invoice/42/pdf"] = {"made": "up"}
    answer = await shown.get("/money/invoices/42.pdf")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert "no-store" in answer.headers["cache-control"]
    shown.platform.away = {"paymentfc"}
    assert (await shown.get("/money/invoices/42.pdf")).status_code == 503


@pytest.mark.parametrize("tab", ["anomalies", "refunds", "failed", "callbacks"])
async def test_without_paymentfc_nothing_is_counted_and_no_list_is_called_empty(
    shown: Browser, said: list[str], tab: str
) -> None:
    shown.platform.away = {"paymentfc"}
    answer = await shown.get(f"/money?tab={tab}")
    text = answer.text
    assert (answer.status_code, "paymentfc did not answer" in text) == (200, True)
    assert 'class="empty"' not in text
    assert "payments were closed unpaid" not in text
    for part in ("Anomalies -", "Refunds -", "Callbacks without a payment -"):
        assert part in text
    assert said == ["paymentfc did not answer: what it knows is missing"]


async def test_one_question_without_an_answer_leaves_its_own_number_unknown(shown: Browser) -> None:
    refunds = shown.platform.more[f"{LIST}/refunds"]

    def slow(request: httpx2.Request) -> Any:
        if request.url.params["status"] == "MANUAL":
            raise httpx2.ReadTimeout("slow")
        return refunds(request)

    shown.platform.more[f"{LIST}/refunds"] = slow
    text = (await shown.get("/money?tab=refunds&status=MANUAL")).text
    for part in ("Anomalies 1", "Refunds 2+", "manual -", "due 1", "requested 0"):
        assert part in text
    assert "No refund is manual" not in text


async def test_a_full_list_of_callbacks_is_at_least_its_length(shown: Browser) -> None:
    items = shown.platform.more["paymentfc/v1/admin/payments/open-items"]
    items["callbacks"] = items["callbacks"] * 100
    assert "Callbacks without a payment 100+" in (await shown.get("/money")).text
