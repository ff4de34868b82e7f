"""Every rule finds the fault that is planted for it, names it, and leaves sound orders alone."""

import pytest

from fc.audit.rules.rule import RULES, Level

from ..conftest import OPENED_AGAIN, UNCHAINED, Audited
from ..plants import PLANTS
from ..samples import ENDINGS


@pytest.mark.parametrize("name", [*ENDINGS, UNCHAINED, OPENED_AGAIN])
async def test_a_sound_order_is_not_reported(audited: Audited, name: str) -> None:
    assert audited.of(audited.sound[name].order_id) == []


@pytest.mark.parametrize("name", PLANTS)
async def test_a_planted_fault_is_found_by_its_rules_and_by_no_others(audited: Audited, name: str) -> None:
    found = audited.of(audited.spoiled[name].order_id)
    assert {finding.rule for finding in found} == set(PLANTS[name].codes)


async def test_a_finding_names_the_order_both_values_and_since_when(audited: Audited) -> None:
    spoiled = audited.spoiled["a payment of another amount"]
    [found] = [each for each in audited.of(spoiled.order_id) if each.rule == "payment_amount"]
    assert found.as_json() == {
        "rule": "payment_amount",
        "level": "violation",
        "sentence": "A payment's amount is its order's total.",
        "order_id": spoiled.order_id,
        "subject": f"order {spoiled.order_id}",
        "expected": "150000.00",
        "found": "149999.00",
        "since": spoiled.at.isoformat().replace("+00:00", "Z"),
    }


async def test_every_finding_says_since_when(audited: Audited) -> None:
    mine = {made.order_id for made in audited.spoiled.values()}
    assert [finding for finding in audited.report.findings if finding.order_id in mine and not finding.since] == []


def test_every_rule_about_an_order_has_a_planted_fault() -> None:
    planted = {code for plant in PLANTS.values() for code in plant.codes}
    assert {code for code, rule in RULES.items() if rule.check} <= planted


async def test_what_a_person_should_know_is_no_violation(audited: Audited) -> None:
    levels = {RULES[code].level for code in ("event_parked", "anomaly_open", "invoice_money_waits", "dead_letter")}
    assert levels == {Level.ATTENTION}
