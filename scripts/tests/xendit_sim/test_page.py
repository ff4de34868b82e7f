"""The pay page: its content, its buttons, and that a merchant's text never becomes markup."""

import re
from html import unescape
from typing import Any

import httpx2
import pytest

from .conftest import Merchant, Sim, Sleep, simulated

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}&amp;"


async def page(sim: Sim, invoice: dict[str, Any]) -> str:
    """Open the page of an invoice."""
    answer = await sim.http.get(f"/web/{invoice['id']}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


async def press(sim: Sim, invoice: dict[str, Any], button: str, **form: str) -> str:
    """Press the button with this text, which has to be on the page, and follow it back to the page."""
    shown = await page(sim, invoice)
    forms = re.findall(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', shown, re.DOTALL)
    (action,) = [action for action, inside in forms if re.search(rf">{re.escape(button)}</button>", inside)]
    answer = await sim.http.post(action, data=form)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"/web/{invoice['id']}"
    return await page(sim, invoice)


def status_on(shown: str) -> str:
    """Read the status that a page shows."""
    (status,) = re.findall(r'<span class="status \w+" role="status">(\w+)</span>', shown)
    return str(status)


def buttons_on(shown: str) -> list[str]:
    """Read the texts of a page's buttons."""
    return re.findall(r"<button[^>]*>([^<]+)</button>", shown)


async def test_a_pending_invoice_shows_what_is_asked_and_what_can_be_done(sim: Sim) -> None:
    made = await sim.create(description="Two bags", items=[{"name": "Kopi", "price": 75_000, "quantity": 2}])
    shown = await page(sim, made)
    assert status_on(shown) == "PENDING"
    for text in ("Rp150.000", "order-7", "Two bags", "Kopi", "Rp75.000", "02 Mar 2026, 09:30:00 UTC", made["id"]):
        assert text in shown
    assert buttons_on(shown) == ["Pay Rp150.000", "Pay wrong amount", "Pay twice", "Expire"]
    assert "Callbacks" not in shown


async def test_the_invoice_url_leads_to_the_page(sim: Sim) -> None:
    made = await sim.create()
    assert made["invoice_url"].removeprefix("http://pay.test") == f"/web/{made['id']}"


async def test_pay_pays_what_is_asked_once(sim: Sim) -> None:
    made = await sim.create()
    shown = await press(sim, made, "Pay Rp150.000")
    assert status_on(shown) == "PAID"
    assert "Rp150.000, 01 Mar 2026, 09:30:00 UTC" in shown
    assert buttons_on(shown) == ["Pay once more"]
    (callback,) = await sim.merchant.got(1)
    assert (callback.status, callback.body["paid_amount"]) == ("PAID", 150_000)


async def test_pay_twice_makes_two_payments(sim: Sim) -> None:
    made = await sim.create()
    shown = await press(sim, made, "Pay twice")
    assert "(and 1 more)" in shown
    await sim.merchant.got(2)
    assert sim.merchant.statuses() == ["PAID", "PAID"]
    assert [payment["paid_amount"] for payment in (await sim.http.get("/_sim/invoices")).json()[0]["payments"]] == [
        150_000,
        150_000,
    ]


async def test_pay_once_more_pays_a_paid_invoice_again(sim: Sim) -> None:
    made = await sim.create()
    await press(sim, made, "Pay Rp150.000")
    assert "(and 1 more)" in await press(sim, made, "Pay once more")
    assert len(await sim.merchant.got(2)) == 2


@pytest.mark.parametrize(("typed", "paid"), [("149999", 149_999), ("0.5", 0.5), (" 7 ", 7), ("1e3", 1000)])
async def test_pay_wrong_amount_pays_what_was_typed(sim: Sim, typed: str, paid: float) -> None:
    made = await sim.create()
    shown = await press(sim, made, "Pay wrong amount", amount=typed)
    assert status_on(shown) == "PAID"
    (callback,) = await sim.merchant.got(1)
    assert (callback.body["amount"], callback.body["paid_amount"]) == (150_000, paid)


async def test_the_amount_proposed_is_not_the_one_asked_for_and_never_nothing(sim: Sim) -> None:
    for amount, proposed in ((150_000, "149999"), (1, "2")):
        shown = await page(sim, await sim.create(amount=amount))
        assert re.findall(r'name="amount"[^>]* value="([^"]*)"', shown) == [proposed]


@pytest.mark.parametrize("typed", ["", "abc", "0", "-5", "nan", "inf", "1e300", "<b>"])
async def test_an_invalid_amount_is_refused_on_the_page(sim: Sim, typed: str) -> None:
    made = await sim.create()
    answer = await sim.http.post(f"/web/{made['id']}/pay-wrong", data={"amount": typed})
    assert answer.status_code == 400
    assert "Not done: the amount must be a number above 0." in answer.text
    assert status_on(answer.text) == "PENDING"
    assert (await sim.http.get("/_sim/stats")).json()["webhooks"] == {}


async def test_expire_expires_and_leaves_only_a_late_payment(sim: Sim) -> None:
    made = await sim.create()
    shown = await press(sim, made, "Expire")
    assert status_on(shown) == "EXPIRED"
    assert buttons_on(shown) == ["Pay all the same (late payment)"]
    shown = await press(sim, made, "Pay all the same (late payment)")
    assert status_on(shown) == "EXPIRED"
    assert "Received" in shown
    await sim.merchant.got(2)
    assert sim.merchant.statuses() == ["EXPIRED", "PAID"]


async def test_a_button_of_a_page_that_is_out_of_date_says_why_nothing_was_done(sim: Sim) -> None:
    made = await sim.create()
    await sim.act(made, "expire")
    for action in ("pay", "pay-twice", "expire"):
        answer = await sim.http.post(f"/web/{made['id']}/{action}")
        assert answer.status_code == 409
        assert "Not done: the invoice is EXPIRED" in answer.text
        assert status_on(answer.text) == "EXPIRED"
    await sim.settled()
    assert sim.merchant.statuses() == ["EXPIRED"]


async def test_callbacks_are_listed_with_their_outcome_and_the_page_comes_again_while_one_is_due(
    merchant: Merchant,
) -> None:
    merchant.answers.extend([500, 500])
    async with simulated(merchant, sleep=Sleep(blocked=True)) as sim:
        made = await sim.create()
        assert "http-equiv" not in await page(sim, made)
        await sim.act(made, "pay")
        await sim.tries(1)
        shown = await page(sim, made)
        assert re.findall(r"<tr><td>(\w+)</td><td>([^<]+)</td><td class=\"n\">([^<]+)", shown) == [
            ("PAID", "first try", "answered 500")
        ]
        assert "1 on the way" in shown
        assert f'<meta http-equiv="refresh" content="1; url=/web/{made["id"]}">' in shown
        refusal = await sim.http.post(f"/web/{made['id']}/expire")
        assert "Not done" in refusal.text
        assert "http-equiv" not in refusal.text


async def test_retries_are_numbered_and_only_the_last_tries_are_shown(sim: Sim) -> None:
    sim.merchant.answers.extend([500] * 2)
    made = await sim.create()
    await sim.act(made, "pay")
    await sim.settled()
    await sim.act(made, "resend", times=6)
    await sim.tries(9)
    shown = await page(sim, made)
    kinds = re.findall(r"<tr><td>PAID</td><td>([^<]+)</td>", shown)
    assert kinds == ["retry 1", "retry 2"] + ["resend"] * 6
    assert "http-equiv" not in shown


async def test_nothing_that_a_merchant_writes_becomes_markup(sim: Sim) -> None:
    made = await sim.create(
        external_id=HOSTILE,
        description=HOSTILE,
        items=[{"name": HOSTILE, "price": 1, "quantity": 1}],
        success_redirect_url='https://shop.test/"onmouseover="alert(3)',
    )
    plain = await sim.create()
    await sim.act(made, "pay")
    await sim.act(plain, "pay")
    await sim.settled()
    shown, harmless = await page(sim, made), await page(sim, plain)
    assert "<script" not in shown
    assert unescape(shown).count(HOSTILE) == 3
    tags = [re.sub(r"\s.*", "", tag) for tag in re.findall(r"<(/?[a-z!][^>]*)>", shown)]
    assert set(tags) - {"a", "/a", "caption", "/caption"} <= {
        re.sub(r"\s.*", "", tag) for tag in re.findall(r"<(/?[a-z!][^>]*)>", harmless)
    }
    assert not re.search(r"<[^>]*\son\w+=", shown)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.test", "JaVaScRiPt:x", "http://["])
async def test_a_redirect_url_that_is_no_web_address_is_not_a_link(sim: Sim, url: str) -> None:
    made = await sim.create(success_redirect_url=url, failure_redirect_url=url)
    await sim.act(made, "pay")
    assert "<a " not in await page(sim, made)


async def test_the_way_back_depends_on_how_it_went(sim: Sim) -> None:
    urls = {"success_redirect_url": "https://shop.test/ok", "failure_redirect_url": "https://shop.test/no"}
    paid, expired, pending = [await sim.create(**urls) for _ in range(3)]
    await sim.act(paid, "pay")
    await sim.act(expired, "expire")
    assert re.findall(r'<a href="([^"]+)"', await page(sim, paid)) == ["https://shop.test/ok"]
    assert re.findall(r'<a href="([^"]+)"', await page(sim, expired)) == ["https://shop.test/no"]
    assert "<a " not in await page(sim, pending)


async def test_the_page_forbids_scripts_and_is_not_stored(sim: Sim) -> None:
    answer = await sim.http.get(f"/web/{(await sim.create())['id']}")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


async def test_pay_page_needs_no_api_key(sim: Sim, anonymous: httpx2.AsyncClient) -> None:
    made = await sim.create()
    assert (await anonymous.get(f"/web/{made['id']}")).status_code == 200
    assert (await anonymous.post(f"/web/{made['id']}/pay")).status_code == 303


@pytest.mark.parametrize("path", ["/web/<script>", "/web/6748105a77f16ebe0cc583a7"])
async def test_an_unknown_invoice_is_404_with_a_page_that_says_so(sim: Sim, path: str) -> None:
    for answer in (
        await sim.http.get(path),
        await sim.http.post(f"{path}/pay"),
        await sim.http.post(f"{path}/pay-wrong", data={"amount": "5"}),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "Not found" in answer.text
        assert "<script>" not in answer.text


async def test_an_unknown_action_is_404_and_does_nothing(sim: Sim) -> None:
    made = await sim.create()
    assert (await sim.http.post(f"/web/{made['id']}/refund")).status_code == 404
    assert (await sim.get(made))["status"] == "PENDING"
