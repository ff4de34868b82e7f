"""docs/contract.md is true: each rule names tests that exist or says why none holds it; the README counts as it does."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOMES = ("chassis", "userfc", "productfc", "orderfc", "paymentfc", "scripts", "tests")
TABLE = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([\w/]+\.py::\w+)`")
COUNTED = re.compile(r"<!-- contract -->.*?\b(\d+) of (\d+)\b.*?<!-- /contract -->", re.DOTALL)
NOT_HELD = "not held: "


@dataclass(frozen=True)
class Row:
    """A rule, where it stands, and what is said to hold it."""

    section: str
    rule: str
    cell: str

    @property
    def reason(self) -> str:
        """Why no test holds it (or the whole of it); empty when tests do."""
        return next((part.removeprefix(NOT_HELD) for part in self.cell.split("<br>") if part.startswith(NOT_HELD)), "")

    @property
    def tests(self) -> list[str]:
        """The tests that hold it, as `file::function`."""
        return NAMED.findall(self.cell)


def rows(text: str) -> list[Row]:
    """Read the table."""
    cells = [line.strip("|").split(" | ") for line in text.splitlines() if re.match(r"\| \d", line)]
    return [Row(section.strip(), rule.strip(), cell.strip()) for section, rule, cell in cells]


@cache
def functions_in(file: Path) -> frozenset[str]:
    """Give the names under which pytest finds the test functions of a file, those in classes included."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in found if node.name.startswith("test_"))


def existing() -> set[str]:
    """Collect the tests of the repository as `file::function`."""
    files = (file for home in HOMES for file in (ROOT / home).rglob("test_*.py"))
    return {f"{file.relative_to(ROOT).as_posix()}::{name}" for file in files for name in functions_in(file)}


def problems(table: str, readme: str, known: set[str]) -> Iterator[str]:
    """Say what is wrong, one line each."""
    found = rows(table)
    rules = [(row.section, row.rule) for row in found]
    yield from (f"is there twice: {rule}" for rule in sorted({rule for rule in rules if rules.count(rule) > 1}))
    for row in found:
        yield from (f"there is no test {name} ({row.rule})" for name in row.tests if name not in known)
        remarks = [part for part in row.cell.split("<br>") if not NAMED.fullmatch(part)]
        if any(not re.fullmatch(rf"{NOT_HELD}.{{20,}}", remark) for remark in remarks):
            yield f"neither a test nor a reason: {row.rule}"
    held = sum(not row.reason for row in found)
    counted = [tuple(map(int, numbers)) for numbers in COUNTED.findall(readme)]
    if counted != [(held, len(found))]:
        yield f"the README counts {counted}, the table {held} of {len(found)}"


def test_every_rule_is_held_by_tests_that_exist_or_says_why_not_and_the_readme_counts_them() -> None:
    assert list(problems(TABLE, README, existing())) == []


def test_every_section_of_the_contract_has_rules() -> None:
    assert {row.section.split()[0] for row in rows(TABLE)} == set("1234567")


def _planted(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


FIRST = NAMED.findall(TABLE)[0]
LINE = next(line for line in TABLE.splitlines() if line.startswith("| 1 |"))
VIOLATIONS = {
    "a test that is gone": ((FIRST, f"{FIRST}_no_more"), ("there is no test",)),
    "a test in another file": ((FIRST, FIRST.replace("test_", "test_x", 1)), ("there is no test",)),
    "a rule without test": ((LINE, "| 1 | something |  |"), ("neither a test nor a reason: something",)),
    "a name that is only text": ((LINE, "| 1 | something | test_something |"), ("neither a test nor a reason",)),
    "a reason that is none": (
        (LINE, "| 1 | something | not held: later |"),
        ("neither a test nor a reason", "the README counts"),
    ),
    "a reason that is not counted": (
        (LINE, "| 1 | something | not held: nobody could say how it would be seen |"),
        ("the README counts",),
    ),
    "a rule that is not counted": ((LINE, f"{LINE}\n| 1 | one more | `{FIRST}` |"), ("the README counts",)),
    "a rule that is there twice": ((LINE, f"{LINE}\n{LINE}"), ("is there twice", "the README counts")),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_planted_violation_is_found(name: str) -> None:
    (old, new), expected = VIOLATIONS[name]
    found = list(problems(_planted(TABLE, old, new), README, existing()))
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


@pytest.mark.parametrize("change", ["<!-- contract -->", "<!-- /contract -->", " of "])
def test_a_readme_that_counts_otherwise_is_found(change: str) -> None:
    [line] = re.findall("<!-- contract -->.*?<!-- /contract -->", README, re.DOTALL)
    spoiled = README.replace(line, line.replace(change, " 9 of " if change == " of " else "", 1))
    [problem] = problems(TABLE, spoiled, existing())
    assert problem.startswith("the README counts")
