"""The timeline of an order: every hop of the contract is there or hollow, and causes come before effects."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.model import saga
from console.model.facts import Facts
from console.model.row import Row
from console.model.steps import Step
from console.model.text import lines
from console.model.timeline import Timeline, as_json, timeline
from contracts import topics

from .samples import (
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
    text,
    unsent,
)

SAMPLES = [completed, compensated]


def titles(shown: Timeline) -> list[str]:
    return [row.title for row in shown.rows]


def row(shown: Timeline, title: str) -> Row:
    [found] = [each for each in shown.rows if each.title == title]
    return found


def test_the_topics_are_those_of_the_contract() -> None:
    assert saga.PRODUCERS == topics.PRODUCERS
    assert saga.CONSUMERS == topics.CONSUMERS


def test_a_paid_order_is_told_from_its_checkout_to_its_end() -> None:
    shown = timeline(completed())
    assert titles(shown) == [
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
    ]
    assert (shown.waits, shown.notes) == ((), ())
    assert not any(each.hollow for each in shown.rows)
    paid = row(shown, "payment.success")
    assert paid.after_ms == 2310
    assert paid.event is not None
    times = (paid.event.committed_at, paid.event.published_at, *(hop.applied_at for hop in paid.event.hops))
    assert times == (at(2310), at(2314), at(2319))
    assert row(shown, "stock taken").detail == "2 x product 1, 2 x product 2"


def test_an_order_that_was_compensated_and_then_paid_shows_each_cause_before_its_effect() -> None:
    shown = timeline(compensated())
    found = titles(shown)
    for before, after in [
        ("callback EXPIRED", "payment EXPIRED"),
        ("payment EXPIRED", "payment.failed"),
        ("payment.failed", "cancelled"),
        ("cancelled", "stock.rollback"),
        ("stock.rollback", "stock released"),
        ("stock taken", "stock released"),
        ("money after the end", "payment.success"),
        ("payment.success", "failed"),
    ]:
        assert found.index(before) < found.index(after), (before, after)
    assert [wait.because for wait in shown.waits] == [
        "money is to be given back (paid_after_close): refund 4 of 90000 IDR"
    ]


def shuffled(facts: Facts, shuffle: Callable[[Any], Any]) -> Facts:
    """Return the same answers with the rows of each source in another order."""
    parts = {
        name: shuffle(list(value)) if isinstance(value, list) else value
        for name, value in (facts.dossier or {}).items()
    }
    history = shuffle(list((facts.order or {})["history"]))
    return replace(
        facts,
        order={**(facts.order or {}), "history": history},
        dossier=parts,
        stock=shuffle(list(facts.stock)),
        unsent=shuffle(list(facts.unsent)),
        records=shuffle([*facts.records, *facts.records]),
        applied=dict(shuffle(list(facts.applied.items()))),
    )


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_any_order_of_the_sources_rows_gives_the_same_timeline(sample: Callable[[], Facts], random: Any) -> None:
    def shuffle(items: list[Any]) -> list[Any]:
        random.shuffle(items)
        return items

    facts = sample()
    once = replace(facts, records=[*facts.records, *facts.records])
    assert as_json(timeline(shuffled(facts, shuffle))) == as_json(timeline(once))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(SAMPLES), st.data())
def test_every_hop_of_the_contract_is_there_or_hollow_whatever_is_missing(
    sample: Callable[[], Facts], data: st.DataObject
) -> None:
    full = sample()
    records = [each for each in full.records if data.draw(st.booleans(), label=each.topic)]
    received = {key: time for key, time in full.applied.items() if data.draw(st.booleans(), label=str(key))}
    shown = timeline(replace(full, now=at(20_000), records=records, applied=received))
    events = {each.event.topic: each for each in shown.rows if each.event}
    assert events.keys() == {each.topic for each in full.records}
    for topic, each in events.items():
        assert each.event is not None
        assert [hop.consumer for hop in each.event.hops] == list(saga.CONSUMERS[topic])
        is_there = topic in {one.topic for one in records}
        assert each.hollow is not is_there
        whole = is_there and all(hop.applied_at for hop in each.event.hops)
        assert whole or any(topic in wait.because for wait in shown.waits)
    assert len({each.key for each in shown.rows}) == len(shown.rows)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SAMPLES), st.data())
def test_causes_come_before_effects_whatever_the_clocks_say(sample: Callable[[], Facts], data: st.DataObject) -> None:
    full = sample()
    drift = data.draw(st.integers(-5_000, 5_000))
    stock = [{**each, "created_at": text(9 + drift), "updated_at": text(2319 + drift)} for each in full.stock]
    shown = timeline(replace(full, stock=stock))
    place = {each.key: number for number, each in enumerate(shown.rows)}
    for each in shown.rows:
        assert all(place[cause] < place[each.key] for cause in each.causes)
        assert each.clocks_ms >= 0
    taken = row(shown, "stock taken")
    assert taken.clocks_ms == max(0 - (9 + drift), 0)


def test_an_event_that_has_not_left_waits_in_its_outbox_with_its_last_error() -> None:
    parked = unsent("stock.updated", 0, state="parked", parked_at=text(9), attempts=12, last_error="no broker")
    facts = Facts(42, at(24_000), order(), unsent=[parked], records=[record("order.created", 0)])
    shown = timeline(facts)
    assert row(shown, "stock.updated").hollow
    assert [str(wait) for wait in shown.waits] == [
        "outbox for 24 s: stock.updated is in the outbox of orderfc (no broker): 12 tries, parked",
        "payment for 24 s: order.created was published and paymentfc has not applied it",
    ]


def test_a_dead_letter_is_what_its_event_waits_for_until_it_is_applied() -> None:
    letter = record("stock.updated", 0, 9, reason="invalid_json", error="value: not JSON")
    facts = Facts(42, at(1_000), order(), records=[record("stock.updated", 0), letter])
    assert (
        timeline(facts).waits[0].because == "stock.updated could not be applied by productfc (invalid_json): "
        "dead letter 3:9"
    )
    done = replace(facts, applied=applied("stock.updated", 900))
    shown = timeline(done)
    assert not [wait for wait in shown.waits if wait.step is Step.DEAD_LETTER]
    assert row(shown, "stock.updated").event is not None


def test_a_source_that_is_away_gives_a_line_and_its_events_are_not_called_missing() -> None:
    facts = Facts(42, at(1_000), order(), unread={"kafka": "no answer in 2 s", "productfc": "ConnectError"})
    shown = timeline(facts)
    assert shown.notes == (
        "kafka did not answer (no answer in 2 s): its rows are missing",
        "productfc did not answer (ConnectError): its rows are missing",
    )
    assert {each.event.state for each in shown.rows if each.event} == {"unknown"}
    assert [wait.because for wait in shown.waits] == ["paymentfc has no payment for order.created"]


def test_after_their_time_events_are_gone_and_nothing_is_said_to_wait() -> None:
    facts = replace(completed(), now=at(8 * 86_400_000), records=[], applied={})
    shown = timeline(facts)
    assert {each.event.state for each in shown.rows if each.event} == {"gone"}
    assert shown.waits == ()
    assert [row(shown, title).hollow for title in ("completed", "payment PAID", "stock taken")] == [False] * 3


def test_an_order_that_only_one_service_knows_is_shown_as_far_as_it_goes() -> None:
    for facts in (
        Facts(42, at(0), dossier=dossier(payment())),
        Facts(42, at(0), dossier=dossier(None, callbacks=[callback(1, "waiting", 5)])),
        Facts(42, at(0), stock=[ledger("TOMBSTONE", 0, 1, 1)]),
        Facts(42, at(0), records=[record("payment.success", 3)]),
    ):
        assert timeline(facts).rows
        assert not facts.is_empty
    assert Facts(42, at(0)).is_empty


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_text_has_a_line_for_each_row_and_each_wait(sample: Callable[[], Facts]) -> None:
    shown = timeline(replace(sample(), unread={"kafka": "away"}))
    printed = list(lines(shown))
    assert len(printed) == len(shown.rows) + len(shown.waits) + len(shown.notes) + 1
    assert printed[-1] == "? kafka did not answer (away): its rows are missing"
