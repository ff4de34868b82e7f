"""What one order waits for, by what the services and Kafka have answered."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.model.facts import Facts
from console.model.order_waits import unfinished_of, waits_of
from console.model.steps import Step
from console.model.wait import Wait
from console.model.waits import waits

from .samples import (
    anomaly,
    applied,
    at,
    callback,
    compensated,
    completed,
    dossier,
    ledger,
    order,
    payment,
    record,
    refund,
    request,
    text,
    unsent,
)

TOPICS = ("order.created", "stock.updated")
DAY_MS = 86_400_000.0


def placed(paid: dict[str, Any] | None = None, **parts: Any) -> Facts:
    """Return an open order whose events are applied, one minute after it was placed."""
    received = {key: time for topic in TOPICS for key, time in applied(topic, 9).items()}
    return Facts(
        42,
        at(60_000),
        order(),
        dossier(paid or payment(), **parts),
        [ledger("TAKEN", 1, 9, 9)],
        records=[record(topic, 0, offset) for offset, topic in enumerate(TOPICS)],
        applied=received,
    )


def without(facts: Facts, topic: str) -> Facts:
    """Return the facts in which nobody has applied the events of a topic."""
    gone = applied(topic, 0)
    return replace(facts, applied={key: time for key, time in facts.applied.items() if key not in gone})


def cancelled(topics: tuple[str, ...]) -> Facts:
    facts = placed(payment("FAILED", reason="order_cancelled"))
    received = dict(facts.applied)
    for topic in topics:
        received |= applied(topic, 900)
    return replace(
        facts,
        order=order(("cancelled", "customer", 500)),
        records=[*facts.records, record("stock.rollback", 500), record("order.cancelled", 500)],
        applied=received,
    )


UNINVOICED: dict[str, Any] = {"invoice_url": None, "invoice_id": None, "invoice_time": None, "expires_at": None}
CLOSING = {"invoice_id": "inv-1", "step": "expire", "attempts": 2, "last_error": "503", "due_at": text(70_000)}
CONFIRMATION = {"invoice_id": "inv-1", "looks": 2, "last_error": None, "due_at": text(70_000), "create_time": text(50)}

CASES: dict[str, tuple[Step, Callable[[], Facts]]] = {
    "refund": (Step.REFUND, compensated),
    "dead letter": (
        Step.DEAD_LETTER,
        lambda: replace(
            without(placed(), "stock.updated"),
            records=[*placed().records, record("stock.updated", 50, 3, reason="not_yet", handler="productfc.x")],
        ),
    ),
    "outbox": (Step.OUTBOX, lambda: replace(placed(), unsent=[unsent("stock.rollback", 100)])),
    "stock": (Step.STOCK, lambda: without(placed(), "stock.updated")),
    "stock not back": (Step.STOCK, lambda: cancelled(("order.cancelled",))),
    "payment": (Step.PAYMENT, lambda: replace(without(placed(), "order.created"), dossier=None)),
    "payment never came": (Step.PAYMENT, lambda: replace(placed(), dossier=None)),
    "result": (
        Step.RESULT,
        lambda: replace(
            placed(payment("PAID", paid_at=text(300))), records=[*placed().records, record("payment.success", 310)]
        ),
    ),
    "callback": (Step.WEBHOOK, lambda: placed(callbacks=[callback(3, "waiting", 40)])),
    "confirmation": (Step.WEBHOOK, lambda: placed(confirmations=[CONFIRMATION])),
    "anomaly": (Step.ANOMALY, lambda: placed(anomalies=[anomaly("amount_mismatch", 90)])),
    "resolved, but it holds": (
        Step.ANOMALY,
        lambda: placed(anomalies=[anomaly("amount_mismatch", 90, resolved_at=text(99), note="seen")]),
    ),
    "invoice": (Step.INVOICE, lambda: placed(payment(**UNINVOICED), request=request(tries=2, last_error="403"))),
    "closing": (
        Step.CLOSING,
        lambda: replace(
            cancelled(("order.cancelled", "stock.rollback")),
            dossier=dossier(
                payment("FAILED", reason="order_cancelled"), closings=[{**CLOSING, "create_time": text(500)}]
            ),
        ),
    ),
    "expiry": (Step.EXPIRY, lambda: replace(placed(), now=at(DAY_MS + 1000))),
    "unknown": (
        Step.UNKNOWN,
        lambda: replace(
            placed(payment("PAID", paid_at=text(300))),
            records=[*placed().records, record("payment.success", 310)],
            applied={**placed().applied, **applied("payment.success", 320)},
        ),
    ),
    "customer": (Step.CUSTOMER, placed),
}


@pytest.mark.parametrize("name", CASES)
def test_the_banner_names_the_step(name: str) -> None:
    step, facts = CASES[name]
    found = waits_of(facts())
    assert found[0].step is step, found
    assert str(found[0]).startswith(f"{step.value.replace('_', ' ')} for ")
    assert found[0].guide.runbook


def test_each_step_has_its_case() -> None:
    assert {step for step, _ in CASES.values()} == set(Step)


def test_an_order_that_is_finished_waits_for_nothing() -> None:
    assert waits_of(completed()) == []


@pytest.mark.parametrize("name", CASES)
def test_the_list_of_all_orders_names_the_same_step_and_cause(name: str) -> None:
    facts = CASES[name][1]()
    [listed] = waits(unfinished_of(facts), 0)
    assert (listed.step, listed.because) == (waits_of(facts)[0].step, waits_of(facts)[0].because)


def shuffled(facts: Facts, random: Any) -> Facts:
    """Return the same answers with the rows of each source in another order."""

    def mixed(rows: Any) -> Any:
        items = list(rows)
        random.shuffle(items)
        return items

    parts = {name: mixed(part) if isinstance(part, list) else part for name, part in (facts.dossier or {}).items()}
    return replace(
        facts,
        dossier=parts if facts.dossier else None,
        stock=mixed(facts.stock),
        unsent=mixed(facts.unsent),
        records=mixed([*facts.records, *facts.records]),
        applied=dict(mixed(facts.applied.items())),
    )


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(CASES)), st.sampled_from(sorted(CASES)), st.randoms(use_true_random=False))
def test_any_order_of_the_sources_rows_gives_the_same_waits(one: str, other: str, random: Any) -> None:
    first, second = CASES[one][1](), CASES[other][1]()
    # Two troubles at once.
    parts = {
        name: part + (second.dossier or {})[name]
        for name, part in (first.dossier or {}).items()
        if isinstance(part, list) and second.dossier
    }
    both = replace(
        first,
        dossier={**first.dossier, **parts} if first.dossier else None,
        unsent=[*first.unsent, *second.unsent],
        records=[*first.records, *second.records],
    )
    expected: list[Wait] = waits_of(both)
    assert waits_of(shuffled(both, random)) == expected
    assert waits(unfinished_of(shuffled(both, random)), 0) == waits(unfinished_of(both), 0)


def test_of_a_service_that_is_away_its_group_says_what_is_done() -> None:
    done = [replace(each, done_by=frozenset({"productfc", "paymentfc", "orderfc"})) for each in completed().records]
    away = {"paymentfc": "ConnectError"}
    facts = replace(
        completed(), records=done, applied={}, dossier=None, unread={**away, "productfc": "", "orderfc": ""}
    )
    assert waits_of(facts) == []
    behind = [replace(each, done_by=frozenset()) for each in placed().records]
    facts = replace(without(placed(), "order.created"), records=behind, dossier=None, unread=away)
    assert [wait.because for wait in waits_of(facts)] == [
        "order.created was published and paymentfc has not applied it"
    ]


def test_a_letter_whose_event_was_applied_since_is_not_waited_for() -> None:
    letter = record("stock.updated", 50, 3, reason="not_yet", handler="productfc.stock.updated")
    facts = replace(placed(), records=[*placed().records, letter])
    assert [wait.step for wait in waits_of(facts)] == [Step.CUSTOMER]


@pytest.mark.parametrize(
    ("done", "steps"), [("discarded", [Step.CUSTOMER]), ("replayed", [Step.STOCK]), ("", [Step.DEAD_LETTER])]
)
def test_a_letter_is_waited_for_until_somebody_has_handled_it(done: str, steps: list[Step]) -> None:
    letter = record("stock.updated", 50, 3, reason="not_yet", handler="productfc.stock.updated")
    records = [*placed().records, letter]
    handled = {("stock.updated", letter.place): done} if done else {}
    facts = replace(without(placed(), "stock.updated"), records=records, handled=handled)
    assert [wait.step for wait in waits_of(facts)] == steps


def test_a_lost_event_is_left_to_the_auditor_after_a_while() -> None:
    lost = replace(placed(), records=placed().records[:1])
    assert [wait.because for wait in waits_of(lost)] == ["stock.updated is neither in an outbox nor on its topic"]
    assert [wait.step for wait in waits_of(replace(lost, now=at(1_000)))] == [Step.CUSTOMER]


def test_a_refund_says_what_is_done_about_it() -> None:
    asked = refund("REQUESTED", 100, requested_at=text(200), last_error="503")
    [wait] = waits_of(replace(compensated(), dossier=dossier(payment("EXPIRED", reason="expired"), refunds=[asked])))
    assert (wait.since, wait.next_try) == (at(200), at(100))
    assert "Xendit is asked" in wait.because
