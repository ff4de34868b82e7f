"""The console by keyboard alone: an order is found, its dead letter is replayed, and the order is completed."""

import pytest
from playwright.async_api import expect

from console.model.letters import Letter
from fc.demo.shop import Shop
from fc.ops.kafka_records import KafkaRecords
from fc.stack.local import Stack
from tests.console.kit.keyboard import Keyboard
from tests.console.kit.operator import Operator
from tests.console.test_dead_letters import ADMIN, WHY, entries, sent
from tests.kit.back_office import BackOffice
from tests.kit.processes import replaced
from tests.ops.conftest import Run, kafka
from tests.ops.test_dead_letters import dead

__all__ = ["kafka"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def search_by_keyboard(operator: Operator, keyboard: Keyboard, order: int) -> None:
    """Find an order from the first page, past the link that leads to the content."""
    page = operator.page
    await operator.open("/")
    skip, main = page.locator(".skip"), page.locator("#main")
    await keyboard.press(skip)
    await expect(main).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.locator("main :focus")).to_have_count(1)
    await keyboard.write(page.get_by_label("Any id"), str(order))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {order}")


async def choose_by_keyboard(operator: Operator, keyboard: Keyboard, letter: Letter) -> None:
    """Do as `choose` for a replay, from any page, without a mouse."""
    page = operator.page
    await keyboard.press(page.get_by_role("link", name="Dead letters", exact=True))
    rows = page.get_by_role("row").filter(has_text=letter.topic).filter(has_text=letter.reason)
    await keyboard.press(rows.get_by_role("link").first)
    await keyboard.press(page.get_by_label(f"Choose {letter.place}", exact=True), "Space")
    await keyboard.press(page.get_by_role("button", name="Replay: dry run"))
    await operator.until("1 letter would be replayed")


async def test_an_order_whose_payment_could_not_be_applied_is_completed_by_keyboard_alone(
    operator: Operator, stack: Stack, shop: Shop, back_office: BackOffice, kafka: KafkaRecords, fc: Run
) -> None:
    broken = {"FAILPOINTS": "consumer.before_handler/payment.success=raise@*", "CONSUMER_MAX_TRIES": "2"}
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(5), 1)
    async with replaced(stack, {"orderfc": broken}):
        await shop.pay((await payer.invoice(order))["invoice_id"])
        letter = (await dead(kafka, "payment.success", f"order-{order}", 60)).letter
    page, keyboard = operator.page, Keyboard(operator.page)
    await search_by_keyboard(operator, keyboard, order)
    await operator.until("dead letter")
    await keyboard.round()
    await choose_by_keyboard(operator, keyboard, letter)
    assert (await sent(kafka, letter), (await payer.order(order))["status"]) == (1, "created")
    await keyboard.round()
    await keyboard.write(page.get_by_label("Reason, for the journal"), WHY)
    await keyboard.press(page.get_by_role("button", name="Replay 1 letter"))
    await operator.until("1 replayed.")
    await payer.wait_status(order, "completed")
    await keyboard.press(page.get_by_role("link", name=str(order), exact=True))
    await operator.until("completed")
    assert [(each.action, each.by, each.why) for each in await entries(kafka, letter)] == [("replayed", ADMIN, WHY)]
    await operator.open("/dead-letters/journal")
    await expect(page.get_by_role("row").nth(1)).to_contain_text(f"{ADMIN}")
    again = await fc("dlq", "replay", letter.topic, letter.place, "--reason", "once more", "--yes")
    assert f"replayed already by {ADMIN}: {WHY}" in again.stdout
    await operator.open(f"/dead-letters/letters/{letter.topic}/{letter.place}")
    await operator.until(f"Replayed by {ADMIN}")
    await page.get_by_role("button", name="Replay: dry run").click()
    await operator.until(f"replayed already by {ADMIN}: {WHY}")
    assert await sent(kafka, letter) == 2
