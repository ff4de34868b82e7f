"""`fc order` on the running stack: the life of an order, as the services and Kafka tell it."""

from typing import Any

import pytest

from fc.demo.shop import Shop, poll
from fc.stack.local import Stack
from tests.kit.back_office import BackOffice
from tests.ops.conftest import Run, lines

pytestmark = pytest.mark.e2e


async def told(fc: Run, order: int) -> dict[str, Any]:
    """Return what `fc order` prints once nothing of the order is on its way."""

    async def settled() -> dict[str, Any] | None:
        [found] = lines(await fc("order", str(order), "--json"))
        return found if not any("not applied" in wait for wait in found["waits"]) else None

    result: dict[str, Any] = await poll(settled, f"the rest of order {order}", 20)
    return result


async def test_a_completed_order_is_told_from_its_checkout_to_its_end(
    shop: Shop, back_office: BackOffice, fc: Run
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 2)
    await shop.pay((await payer.invoice(order))["invoice_id"])
    await payer.wait_status(order, "completed")
    found = await told(fc, order)
    assert (found["notes"], found["waits"]) == ([], [])
    titles = [row["title"] for row in found["rows"]]
    assert titles[0] == "created"
    assert titles[-1] == "completed"
    assert set(titles) == {
        "created",
        "order.created",
        "stock.updated",
        "payment registered",
        "stock taken",
        "invoice made",
        "callback PAID",
        "payment PAID",
        "payment.success",
        "completed",
    }
    events = {row["title"]: row["event"] for row in found["rows"] if "event" in row}
    assert {topic: list(event["applied"]) for topic, event in events.items()} == {
        "order.created": ["paymentfc"],
        "stock.updated": ["productfc"],
        "payment.success": ["orderfc"],
    }
    assert all(time for event in events.values() for time in event["applied"].values())
    text = await fc("order", str(order))
    assert text.exit_code == 0
    assert "payment.success" in text.stdout


async def test_an_unpaid_order_has_its_events_and_no_end_and_an_unknown_one_is_said_to_be_unknown(
    shop: Shop, back_office: BackOffice, fc: Run
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    await payer.invoice(order)
    found = await told(fc, order)
    assert [row["title"] for row in found["rows"] if row["lane"] == "orderfc"] == [
        "created",
        "order.created",
        "stock.updated",
    ]
    assert not any(row["hollow"] for row in found["rows"])
    unknown = await fc("order", str(2**40))
    assert unknown.exit_code != 0


async def test_a_service_that_is_away_leaves_a_note_and_the_rest_is_told(
    stack: Stack, shop: Shop, back_office: BackOffice, fc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    await payer.invoice(order)
    urls = stack.layout.urls() | {"productfc": "http://127.0.0.1:9"}
    monkeypatch.setattr("fc.stack.native.Native.urls", lambda _: urls)
    [found] = lines(await fc("order", str(order), "--json"))
    assert [note for note in found["notes"] if note.startswith("productfc did not answer")]
    assert {"payment registered", "invoice made"} <= {row["title"] for row in found["rows"]}
