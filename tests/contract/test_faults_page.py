"""docs/faults.md is true: each fault has its row, each row its tests, each test its row, and nothing is unmeasured."""

from collections import Counter

from tests.chaos.page import FAULTS, NOTHING, PAGE, filled, marked, rows, seeds_table, with_seeds

PAGE_TEXT = PAGE.read_text(encoding="utf-8")
ROWS = {row.number: row for row in rows(PAGE_TEXT)}
SAMPLE = "| 3 | a | b | c | `test_x`<br>`test_y` | … |"


def test_every_fault_has_one_row() -> None:
    assert Counter(row.number for row in rows(PAGE_TEXT)) == Counter(FAULTS)


def test_a_row_names_exactly_the_tests_that_are_marked_with_its_number() -> None:
    wanted = {number: sorted(test for test, numbers in marked().items() if number in numbers) for number in FAULTS}
    assert {number: sorted(row.tests) for number, row in ROWS.items()} == wanted


def test_no_fault_is_without_a_test() -> None:
    assert [number for number, row in ROWS.items() if not row.tests] == []


def test_every_recovery_is_a_measured_time_or_a_dash() -> None:
    wrong = [row.number for row in ROWS.values() if row.recovery != NOTHING and not row.recovery.endswith(" s")]
    assert wrong == []


def test_a_recovery_is_the_longest_of_a_rows_tests() -> None:
    assert filled(SAMPLE, {"test_x": 1.26, "test_y": 0.4}) == SAMPLE.replace("…", "1.3 s")
    assert filled(SAMPLE, {"test_z": 1.0}) == SAMPLE.replace("…", NOTHING)


def test_the_table_of_seeds_goes_between_its_marks() -> None:
    verdict = {
        "seed": 7, "faults": ["2.0 s  kill -9  kafka"], "orders": 3, "paid": 2, "ready_s": 0.25, "recovery_s": 4.0, "wrong": []
    }  # fmt: skip
    page = with_seeds("a\n<!-- seeds -->\nold\n<!-- end of seeds -->\nb\n", seeds_table([verdict]))
    assert "| 7 | kill -9 kafka | 3 | 2 | 0.2 s | 4.0 s | nothing |" in page
    assert page.startswith("a\n") and page.endswith("\nb\n") and "old" not in page
