"""A payer's clicks on the buttons: what the page shows afterwards, and which callbacks the merchant gets."""

import pytest
from playwright.async_api import Page, expect

from testkit import eventually
from tests.kit import chromium
from tests.ui.conftest import PayPage

HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


async def press(page: Page, name: str) -> None:
    """Click the button with exactly this name."""
    await page.get_by_role("button", name=name, exact=True).click()


async def shows(page: Page, status: str, *texts: str) -> None:
    """Wait until the page shows a status and these texts."""
    await expect(page.locator("header").get_by_role("status")).to_have_text(status)
    for text in texts:
        await expect(page.locator("main")).to_contain_text(text)


async def buttons(page: Page) -> list[str]:
    return await page.get_by_role("button").all_inner_texts()


async def test_pay_makes_the_invoice_paid_and_tells_the_merchant(pay_page: PayPage) -> None:
    invoice = await pay_page.open_invoice()
    await shows(pay_page.page, "PENDING", "Rp150.000", "order-7")
    await press(pay_page.page, "Pay Rp150.000")
    await shows(pay_page.page, "PAID", "Payment received", "Received", "answered 200")
    assert await buttons(pay_page.page) == ["Pay once more"]
    await pay_page.merchant.got(("PAID", 150_000))
    assert pay_page.merchant.callbacks[0]["id"] == invoice
    assert (await pay_page.invoice(invoice))["status"] == "PAID"


async def test_pay_wrong_amount_pays_what_was_typed(pay_page: PayPage) -> None:
    invoice = await pay_page.open_invoice()
    amount = pay_page.page.get_by_label("Amount")
    await expect(amount).to_have_value("149999")
    await amount.fill("120000")
    await press(pay_page.page, "Pay wrong amount")
    await shows(pay_page.page, "PAID", "Rp120.000", "answered 200")
    await pay_page.merchant.got(("PAID", 120_000))
    assert pay_page.merchant.callbacks[0]["amount"] == 150_000
    assert (await pay_page.invoice(invoice))["paid_amount"] == 120_000


async def test_an_invalid_amount_is_refused_on_the_page_and_nothing_is_sent(pay_page: PayPage) -> None:
    await pay_page.open_invoice()
    await pay_page.page.get_by_label("Amount").fill("a lot")
    await press(pay_page.page, "Pay wrong amount")
    await expect(pay_page.page.get_by_role("alert")).to_have_text("Not done: the amount must be a number above 0.")
    await shows(pay_page.page, "PENDING")
    await press(pay_page.page, "Pay Rp150.000")
    await shows(pay_page.page, "PAID", "answered 200")
    await pay_page.merchant.got(("PAID", 150_000))


async def test_an_empty_amount_is_not_sent_by_the_browser(pay_page: PayPage) -> None:
    await pay_page.open_invoice()
    await pay_page.page.get_by_label("Amount").fill("")
    await press(pay_page.page, "Pay wrong amount")
    await expect(pay_page.page.get_by_label("Amount")).to_be_focused()
    await shows(pay_page.page, "PENDING")


async def test_expire_ends_the_invoice_and_money_can_still_come_late(pay_page: PayPage) -> None:
    invoice = await pay_page.open_invoice()
    await press(pay_page.page, "Expire")
    await shows(pay_page.page, "EXPIRED", "can no longer be paid", "answered 200")
    assert await buttons(pay_page.page) == ["Pay all the same (late payment)"]
    await pay_page.merchant.got(("EXPIRED", None))
    await press(pay_page.page, "Pay all the same (late payment)")
    await expect(pay_page.page.locator(".callbacks tr")).to_have_count(2)
    await shows(pay_page.page, "EXPIRED", "Received")
    await pay_page.merchant.got(("EXPIRED", None), ("PAID", 150_000))
    assert (await pay_page.invoice(invoice))["status"] == "EXPIRED"


async def test_pay_twice_makes_two_payments_with_a_callback_each(pay_page: PayPage) -> None:
    await pay_page.open_invoice()
    await press(pay_page.page, "Pay twice")
    await shows(pay_page.page, "PAID", "(and 1 more)")
    await expect(pay_page.page.locator(".callbacks tr")).to_have_count(2)
    await pay_page.merchant.got(("PAID", 150_000), ("PAID", 150_000))
    first, second = pay_page.merchant.callbacks
    assert first["payment_id"] != second["payment_id"]


async def test_a_click_on_a_page_that_is_out_of_date_says_why_nothing_was_done(pay_page: PayPage) -> None:
    invoice = await pay_page.open_invoice()
    (await pay_page.api.post(f"/_sim/invoices/{invoice}/pay")).raise_for_status()
    await press(pay_page.page, "Expire")
    await expect(pay_page.page.get_by_role("alert")).to_have_text("Not done: the invoice is PAID.")
    await shows(pay_page.page, "PAID")
    await pay_page.merchant.got(("PAID", 150_000))


async def test_the_page_follows_retries_by_itself(pay_page: PayPage) -> None:
    pay_page.merchant.answers.append(503)
    await pay_page.open_invoice()
    await press(pay_page.page, "Pay Rp150.000")
    await expect(pay_page.page.locator(".callbacks td:nth-child(2)")).to_have_text(["first try", "retry 1"])
    await expect(pay_page.page.locator(".callbacks td:nth-child(3)")).to_have_text(["answered 503", "answered 200"])
    await pay_page.merchant.got(("PAID", 150_000), ("PAID", 150_000))


async def test_hostile_texts_are_shown_and_not_run(pay_page: PayPage) -> None:
    troubles: list[str] = []
    pay_page.page.on("pageerror", lambda error: troubles.append(str(error)))
    await pay_page.open_invoice(
        description=HOSTILE, external_id=HOSTILE, items=[{"name": HOSTILE, "price": 1, "quantity": 1}]
    )
    assert (await pay_page.page.locator("main").inner_text()).count(HOSTILE) == 3
    assert await pay_page.page.locator("main img, main script").count() == 0
    assert await pay_page.page.title() == "Rp150.000 to Go Commerce"
    assert troubles == []


@pytest.mark.parametrize("width", [320, 420, 1200])
@pytest.mark.parametrize("action", [None, "pay", "expire"])
async def test_nothing_sticks_out_of_the_card(pay_page: PayPage, width: int, action: str | None) -> None:
    await pay_page.page.set_viewport_size({"width": width, "height": 800})
    invoice = await pay_page.open_invoice(
        external_id="order-" + "9" * 90,
        description="word " * 60,
        amount=9_999_999_999,
        items=[{"name": "unbreakable" * 20, "price": 9_999_999_999, "quantity": 1000}],
    )
    if action:
        (await pay_page.api.post(f"/_sim/invoices/{invoice}/{action}")).raise_for_status()
        await eventually(lambda: pay_page.merchant.callbacks)
        await pay_page.page.reload()
    outside = await pay_page.page.evaluate(
        """() => {
          const card = document.querySelector("main").getBoundingClientRect();
          return [...document.querySelectorAll("main *")].filter(item => {
            const box = item.getBoundingClientRect();
            return box.right > card.right + 0.5 || box.left < card.left - 0.5 || item.scrollWidth > item.clientWidth + 1
              && getComputedStyle(item).display !== "inline";
          }).map(item => item.outerHTML.slice(0, 80));
        }"""
    )
    assert outside == []


def test_without_a_browser_the_failure_says_what_installs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match="`make tools` installs it"):
        chromium.path("/nowhere/chromium")
