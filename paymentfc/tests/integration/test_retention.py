"""What is no longer needed goes after its retention, in batches that nothing stops; money and its guards stay."""

import pytest

from chassis.db import housekeeping
from paymentfc.repository import retention

from .bench import Bench

_ADD_REQUEST = """
INSERT INTO payment_requests (payment_id, order_id, status, update_time)
VALUES ($1, $2, $3, now() - $4 * interval '1 day')
"""
_ADD_CLOSING = """
INSERT INTO invoice_closings (invoice_id, payment_id, external_id, step, done_at)
VALUES ($1, $2, 'x', $3, CASE WHEN $3 = 'done' THEN now() - $4 * interval '1 day' END)
"""
_ADD_CALLBACK = """
INSERT INTO payment_callbacks (invoice_id, external_id, status, amount, asked_amount, currency, body, create_time)
VALUES ($1, 'x', 'PAID', '1', '1', 'IDR', '{"payer_email":"a@b.c"}', now() - $2 * interval '1 day')
"""
_ADD_FAILED_EVENT = """
WITH event AS (
  INSERT INTO outbox (event_id, topic, key, payload, published_at)
  VALUES (gen_random_uuid(), 't', $1, '{}', CASE WHEN $2 THEN now() END) RETURNING event_id)
INSERT INTO failed_events (event_id, topic, key, payload, attempts, retried_at)
SELECT event_id, 't', $1, '{}', 12, now() - $3 * interval '1 day' FROM event
"""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 2)


async def purge(bench: Bench) -> None:
    while await housekeeping.purge(bench.db, retention.purges(bench.settings)):
        pass


async def names(bench: Bench, sql: str) -> list[str]:
    return [str(row["name"]) for row in await bench.rows(sql)]


async def test_finished_requests_go_and_those_with_work_left_stay(bench: Bench) -> None:
    await bench.execute("DELETE FROM payment_requests")
    cases = {"DONE": 31, "CANCELLED": 31, "EXHAUSTED": 31, "PENDING": 99, "FAILED": 99, "VERIFY": 99}
    for status, days in cases.items():
        payment = await bench.order()
        await bench.execute("DELETE FROM payment_requests WHERE payment_id = $1", payment.id)
        await bench.execute(_ADD_REQUEST, payment.id, payment.order_id, status, days)
    young = await bench.order()
    await bench.execute("UPDATE payment_requests SET status = 'DONE' WHERE payment_id = $1", young.id)
    await purge(bench)
    left = await names(bench, "SELECT status AS name FROM payment_requests ORDER BY id")
    assert left == ["PENDING", "FAILED", "VERIFY", "DONE"]


async def test_finished_closings_go_and_open_ones_stay(bench: Bench) -> None:
    payment = await bench.order()
    for name, step, days in (("a", "done", 91), ("b", "done", 92), ("c", "done", 93), ("d", "done", 89)):
        await bench.execute(_ADD_CLOSING, name, payment.id, step, days)
    await bench.execute(_ADD_CLOSING, "e", payment.id, "look_again", 99)
    await purge(bench)
    assert await names(bench, "SELECT invoice_id AS name FROM invoice_closings ORDER BY 1") == ["d", "e"]


async def test_old_callbacks_lose_their_body_and_stay_a_guard_against_repetition(bench: Bench) -> None:
    for name, days in (("a", 91), ("b", 92), ("c", 93), ("d", 89)):
        await bench.execute(_ADD_CALLBACK, name, days)
    await purge(bench)
    rows = await bench.rows(
        "SELECT invoice_id, body <> '' AS kept FROM payment_callbacks WHERE external_id = 'x' ORDER BY 1"
    )
    assert [(row["invoice_id"], row["kept"]) for row in rows] == [("a", False), ("b", False), ("c", False), ("d", True)]


async def test_failed_events_go_once_they_are_published_and_unpublished_ones_stop_no_batch(bench: Bench) -> None:
    for name, published, days in (
        ("a", False, 99),
        ("b", False, 98),
        ("c", False, 97),
        ("d", True, 96),
        ("e", True, 1),
    ):
        await bench.execute(_ADD_FAILED_EVENT, name, published, days)
    await purge(bench)
    assert await names(bench, "SELECT key AS name FROM failed_events ORDER BY 1") == ["a", "b", "c", "e"]


async def test_old_closed_payments_lose_what_they_hold_of_a_person_and_open_ones_do_not(bench: Bench) -> None:
    made = [await bench.order() for _ in range(5)]
    for payment, status, days in zip(
        made, ("PAID", "EXPIRED", "FAILED", "PENDING", "PAID"), (3651,) * 4 + (1,), strict=True
    ):
        await bench.execute(
            "UPDATE payments SET user_email = 'a@b.c', status = $2, create_time = now() - $3 * interval '1 day'"
            " WHERE id = $1",
            payment.id,
            status,
            days,
        )
    await purge(bench)
    rows = await bench.rows("SELECT user_email, shipping_address, amount FROM payments ORDER BY id")
    assert [row["user_email"] for row in rows] == [None, None, None, "a@b.c", "a@b.c"]
    assert [row["shipping_address"] == "erased" for row in rows] == [True, True, True, False, False]
    assert {row["amount"] for row in rows} == {made[0].amount}


async def test_bodies_of_refund_callbacks_go_and_what_they_say_of_money_stays(bench: Bench) -> None:
    add = """
    INSERT INTO refund_callbacks (gateway_id, reference_id, status, amount, currency, body, create_time)
    VALUES ($1, 'refund-1', 'SUCCEEDED', '1', 'IDR', '{}', now() - $2 * interval '1 day')
    """
    for name, days in (("old", 91), ("older", 400), ("oldest", 900), ("young", 89)):
        await bench.execute(add, name, days)
    await purge(bench)
    rows = await bench.rows("SELECT gateway_id, body, amount FROM refund_callbacks ORDER BY id")
    assert [(row["gateway_id"], row["body"]) for row in rows] == [
        ("old", ""),
        ("older", ""),
        ("oldest", ""),
        ("young", "{}"),
    ]
    assert {row["amount"] for row in rows} == {"1"}
