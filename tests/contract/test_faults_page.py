"""docs/evidence/faults is true: each fault has one entry, with exactly the tests that are marked with its number."""

import re
from collections import Counter

import pytest

from tests.chaos.page import (
    FAULTS,
    NO_RECOVERY,
    SEEDS_PAGE,
    entries,
    fault_pages,
    filled,
    marked,
    seeds_section,
    with_seeds,
)

ENTRIES = [entry for page in fault_pages().values() for entry in entries(page)]
SAMPLE = "## 3. a\n\n- Tests:\n  - `test_x`\n  - `test_y`\n- Recovery: …\n\n## Notes\n\n- Recovery: stays\n"


def test_every_fault_has_one_row() -> None:
    assert Counter(entry.number for entry in ENTRIES) == Counter(FAULTS)


def test_a_row_names_exactly_the_tests_that_are_marked_with_its_number() -> None:
    tests = marked()
    expected = {number: sorted(test for test, numbers in tests.items() if number in numbers) for number in FAULTS}
    assert {entry.number: sorted(entry.tests) for entry in ENTRIES} == expected


def test_no_fault_is_without_a_test() -> None:
    assert [entry.number for entry in ENTRIES if not entry.tests] == []


def test_every_recovery_is_a_measured_time_or_a_dash() -> None:
    recovery = re.compile(rf"\d+\.\d s|{NO_RECOVERY}")
    assert [entry.number for entry in ENTRIES if not recovery.fullmatch(entry.recovery)] == []


def test_every_entry_has_its_parts_in_their_order() -> None:
    parts = re.compile(r"Naive version Here Tests Recovery( Note)?")
    named = {entry.number: " ".join(re.findall(r"(?m)^- (\w[\w ]*):", entry.text)) for entry in ENTRIES}
    assert {number: names for number, names in named.items() if not parts.fullmatch(names)} == {}


@pytest.mark.parametrize(
    ("measured", "recovery"),
    [({"test_x": 1.26, "test_y": 0.4}, "1.3 s"), ({"test_z": 1.0}, NO_RECOVERY)],
)
def test_a_recovery_is_the_longest_of_a_rows_tests(measured: dict[str, float], recovery: str) -> None:
    assert filled(SAMPLE, measured) == SAMPLE.replace("…", recovery)


def test_an_entry_ends_at_the_next_heading_and_states_one_recovery() -> None:
    [entry] = entries(SAMPLE)
    assert entry.tests == ["test_x", "test_y"]
    assert entry.recovery == "…"
    [doubled] = entries(SAMPLE.replace("- Recovery: …\n", "- Recovery: 1.0 s\n- Recovery: 2.0 s\n"))
    assert doubled.recovery == ""


def test_the_table_of_seeds_goes_between_its_marks() -> None:
    verdict = {
        "seed": 7,
        "faults": ["2.0 s  kill -9  kafka", "3.0 s  stop     redis for 1.0 s"],
        "orders": 3,
        "paid": 2,
        "ready_s": 0.25,
        "recovery_s": 4.0,
        "wrong": [],
    }
    page = with_seeds("a\n<!-- seeds -->\nold\n<!-- end of seeds -->\nb\n", seeds_section([verdict]))
    assert "| 7 | 2 | 3 | 2 | 0.2 s | 4.0 s | nothing |" in page
    assert "7. kill -9 kafka; stop redis for 1.0 s" in page
    assert page.startswith("a\n")
    assert page.endswith("\nb\n")
    assert "old" not in page


def test_what_a_seed_left_wrong_is_listed_with_it() -> None:
    verdict = {"seed": 7, "faults": [], "orders": 3, "paid": 2, "ready_s": 1, "recovery_s": 4, "wrong": ["an order"]}
    section = seeds_section([verdict])
    assert "| 4.0 s | 1 |" in section
    assert "left wrong: an order" in section


def test_the_page_of_seeds_is_as_the_program_writes_it() -> None:
    page = SEEDS_PAGE.read_text(encoding="utf-8")
    seeds = [int(number) for number in re.findall(r"(?m)^\| (\d+) \|", page)]
    details = [int(number) for number in re.findall(r"(?m)^(\d+)\. ", page)]
    assert seeds == details == list(range(1, 61))
