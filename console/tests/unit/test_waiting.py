"""The page of the orders that wait, and what it asks whom."""

import pytest

from console.client.admin_api import AdminApi
from console.usecase.gather_unfinished import gather_unfinished

from .browser import Browser
from .desk import PREFIX, Desk, Kafka, Letter, ago, known, order, paid, pending, waiting

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def desk(browser: Browser) -> Desk:
    browser.sign_in()
    kafka = Kafka()
    browser.app.state.backlog, browser.app.state.letters = kafka, kafka
    opened = Desk(browser, kafka)
    opened.orders()
    opened.payments()
    opened.items()
    for service in ("orderfc", "productfc", "paymentfc"):
        opened.say(service, "outbox", {"items": [], "next_after_id": None})
        opened.say(service, "inbox", opened.inbox)
    return opened


async def test_when_nothing_waits_the_page_says_so(desk: Desk) -> None:
    assert "Nothing waits" in await desk.text()


async def test_orders_are_grouped_by_step_and_cause_with_their_section_of_the_runbook(desk: Desk) -> None:
    desk.orders(order(7, 90), order(8, 80), order(9, 70))
    desk.payments(customer=[waiting(9, 60)])
    desk.kafka.events = (
        pending("productfc", "stock.updated", 7),
        pending("paymentfc", "order.created", 7),
        pending("paymentfc", "order.created", 8),
    )
    text = await desk.text()
    assert text.index("stock.updated was published and productfc has not applied it") < text.index("the customer has")
    assert 'href="/runbook#consumer-lag"' in text
    for part in ('href="/orders/7"', 'href="/orders/8"', 'href="/orders/9"'):
        assert part in text
    assert "All 3" in text
    only = await desk.text("/waiting?step=payment")
    assert 'href="/orders/8"' in only
    assert 'href="/orders/7"' not in only
    assert 'aria-current="page">Payment 1' in only


async def test_what_a_consumer_has_applied_is_not_waited_for_though_its_group_has_not_committed(desk: Desk) -> None:
    desk.kafka.events = (pending("productfc", "stock.updated", 7), pending("productfc", "stock.updated", 8))
    desk.kafka.letters = (Letter(9), Letter(10))
    desk.applied = {known("stock.updated", 7), known("stock.updated", 9)}
    text = await desk.text()
    assert [number for number in (7, 8, 9, 10) if f'href="/orders/{number}"' in text] == [8, 10]


async def test_an_open_order_that_no_list_explains_is_looked_up(desk: Desk) -> None:
    desk.orders(order(7, 90), order(8, 80), order(9, 0))
    desk.say("paymentfc", "payments/orders/7", paid(7, "PAID"))
    text = await desk.text()
    assert "the payment is PAID and orderfc has not applied it" in text
    assert "paymentfc has no payment for order.created" in text
    asked = {request.url.path for request in desk.browser.platform.asked}
    assert f"{PREFIX}/payments/orders/8" in asked
    assert f"{PREFIX}/payments/orders/9" not in asked


async def test_what_is_open_at_paymentfc_is_shown(desk: Desk) -> None:
    about = {"create_time": ago(90), "external_id": "order-7"}
    callback = {**about, "invoice_id": "early", "status": "PAID"}
    refund = {
        "id": 6,
        "order_id": 8,
        "amount": 150000,
        "currency": "IDR",
        "cause": "paid_twice",
        "status": "DUE",
        "requested_at": None,
        "due_at": ago(0),
        "create_time": ago(80),
        "failure_code": None,
        "last_error": None,
    }
    desk.items(callbacks=[callback], refunds=[refund])
    money = {
        "id": 3,
        "invoice_id": "i-9",
        "kind": "amount_mismatch",
        "expected": "9",
        "received": "8",
        "action": None,
        "resolved_at": ago(5),
        "create_time": ago(70),
    }
    desk.payments(customer=[waiting(9, 90, wrong_money=money)])
    text = await desk.text()
    assert "Xendit reported PAID for an invoice that belongs to no payment" in text
    assert "refund 6 of 150000 IDR" in text
    assert "expected 9, received 8; the order is closed at" in text
    assert "the customer has not paid" not in text


async def test_young_orders_are_on_their_way(desk: Desk) -> None:
    desk.kafka.events = (pending("productfc", "stock.updated", 7, 0),)
    assert "Nothing waits" in await desk.text()


@pytest.mark.parametrize("source", ["orderfc", "productfc", "paymentfc", "kafka"])
async def test_a_source_that_is_away_leaves_a_line_and_nothing_is_made_up(desk: Desk, source: str) -> None:
    desk.orders(order(7, 90))
    desk.payments(customer=[waiting(7, 60)])
    desk.browser.platform.away = {source}
    desk.kafka.is_away = source == "kafka"
    text = await desk.text()
    assert f"{source} did not answer" in text
    assert "has no payment" not in text
    assert ("the customer has not paid" in text) is (source != "paymentfc")


async def test_with_paymentfc_away_the_events_that_it_has_not_committed_still_name_their_orders(desk: Desk) -> None:
    desk.kafka.events = (pending("paymentfc", "order.created", 7),)
    desk.browser.platform.away = {"paymentfc"}
    assert "order.created was published and paymentfc has not applied it" in await desk.text()


async def test_a_group_shows_its_oldest_orders_and_says_how_many_there_are(desk: Desk) -> None:
    desk.kafka.events = tuple(pending("productfc", "stock.updated", number, 30 + number) for number in range(1, 61))
    desk.kafka.more = 1000
    text = await desk.text()
    assert "60 orders" in text
    assert "The oldest 20 of 60 are shown" in text
    assert 'href="/orders/60"' in text
    assert 'href="/orders/40"' not in text
    assert "1000 more were not read" in text


async def test_a_list_that_does_not_end_is_cut(desk: Desk) -> None:
    desk.say(
        "orderfc",
        "outbox",
        lambda request: {
            "items": [
                {
                    "id": 1,
                    "topic": "order.created",
                    "key": "order-7",
                    "created_at": ago(60),
                    "attempts": 3,
                    "next_attempt_at": None,
                    "parked_at": None,
                    "last_error": HOSTILE,
                }
            ],
            "next_after_id": int(request.url.params.get("after_id", 0)) + 1,
        },
    )
    text = await desk.text()
    assert "Outbox of orderfc: only the first 2 were read" in text
    assert "<script" not in text.replace("<script src=", "")
    assert "&lt;script&gt;" in text


async def test_a_step_that_does_not_exist_is_refused(desk: Desk) -> None:
    assert (await desk.browser.get("/waiting?step=nothing")).status_code == 400


async def test_who_may_not_ask_sees_nothing(desk: Desk) -> None:
    desk.browser.platform.statuses = {"orderfc": 403}
    assert (await desk.browser.get("/waiting")).status_code == 403
    desk.browser.platform.statuses = {"paymentfc": 401}
    answer = await desk.browser.get("/waiting")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/waiting")


async def test_the_sources_are_asked_for_a_bounded_number_of_rows(desk: Desk) -> None:
    await gather_unfinished(_api(desk), desk.kafka, desk.kafka)
    limits = {int(request.url.params["limit"]) for request in desk.browser.platform.asked}
    assert limits == {100}
    assert len(desk.browser.platform.asked) < 12


def _api(desk: Desk) -> AdminApi:
    return AdminApi(desk.browser.app.state.http, desk.browser.app.state.urls, desk.browser.token())


async def test_no_step_is_called_empty_while_a_source_is_away_or_a_list_is_cut(desk: Desk, said: list[str]) -> None:
    assert "No order waits for this step" in await desk.text("/waiting?step=refund")
    assert said[-1].startswith("0 orders need attention")
    desk.kafka.more = 3
    cut = await desk.text("/waiting?step=refund")
    desk.kafka.more, desk.browser.platform.away = 0, {"paymentfc"}
    away = await desk.text("/waiting?step=refund")
    for text in (cut, away):
        assert "No order waits for this step" not in text
        assert "Nothing is known to wait" in text
        assert "All -" in text
    assert said[-1].startswith("paymentfc did not answer; at least 0 orders need attention")
