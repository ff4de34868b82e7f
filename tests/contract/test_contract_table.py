"""docs/evidence/contract.md is true: each rule names tests that exist or a reason, and the README states its totals."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOMES = ("chassis", "userfc", "productfc", "orderfc", "paymentfc", "scripts", "tests")
PAGE = (ROOT / "docs/evidence/contract.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST = re.compile(r"`([\w/]+\.py::\w+)`")
TOTALS = re.compile(r"<!-- contract -->.*?\b(\d+) of the (\d+)\b.*?<!-- /contract -->", re.DOTALL)
NOT_HELD = "not held: "


@dataclass(frozen=True)
class Rule:
    """A rule with its section's heading, and the lines below it: tests, or why no test holds it."""

    section: str
    sentence: str
    lines: tuple[str, ...]

    @property
    def is_held(self) -> bool:
        return not any(line.startswith(NOT_HELD) for line in self.lines)

    @property
    def tests(self) -> list[str]:
        """The tests that hold the rule, as `file::function`."""
        return [name for line in self.lines for name in TEST.findall(line)]


def rules(page: str) -> Iterator[Rule]:
    for part in re.split(r"(?m)^## ", page)[1:]:
        heading, _, text = part.partition("\n")
        for item in re.split(r"(?m)^- ", text)[1:]:
            sentence, *lines = (line.strip().removeprefix("- ") for line in item.strip().splitlines())
            yield Rule(heading, sentence, tuple(lines))


@cache
def functions_in(file: Path) -> frozenset[str]:
    """Return the names of a file's test functions, those in classes included."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def existing() -> set[str]:
    """Return all tests of the repository as `file::function`."""
    files = (file for home in HOMES for file in (ROOT / home).rglob("test_*.py"))
    return {f"{file.relative_to(ROOT).as_posix()}::{name}" for file in files for name in functions_in(file)}


def problems(page: str, readme: str, known: set[str]) -> Iterator[str]:
    """Describe each defect of the page in one line."""
    every = list(rules(page))
    names = [(rule.section, rule.sentence) for rule in every]
    yield from (f"is there twice: {name}" for name in sorted({name for name in names if names.count(name) > 1}))
    for rule in every:
        yield from (f"there is no test {name} ({rule.sentence})" for name in rule.tests if name not in known)
        remarks = [line for line in rule.lines if not TEST.fullmatch(line)]
        if not rule.lines or any(not re.fullmatch(rf"{NOT_HELD}.{{20,}}", remark) for remark in remarks):
            yield f"neither a test nor a reason: {rule.sentence}"
    held = sum(rule.is_held for rule in every)
    stated = [tuple(map(int, numbers)) for numbers in TOTALS.findall(readme)]
    if stated != [(held, len(every))]:
        yield f"the README counts {stated}, the page {held} of {len(every)}"


def test_every_rule_is_held_by_tests_that_exist_or_says_why_not_and_the_readme_counts_them() -> None:
    assert list(problems(PAGE, README, existing())) == []


def test_every_section_of_the_contract_has_rules() -> None:
    assert {rule.section.split(".")[0] for rule in rules(PAGE)} == {*"123456789", "10"}


def _planted(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


FIRST_TEST = TEST.findall(PAGE)[0]
FIRST_RULE = re.search(r"(?ms)^- .+?\n(?=- )", PAGE)
ENTRY = FIRST_RULE[0] if FIRST_RULE else ""
VIOLATIONS = {
    "a test that is gone": ((FIRST_TEST, f"{FIRST_TEST}_no_more"), ("there is no test",)),
    "a test in another file": ((FIRST_TEST, FIRST_TEST.replace("test_", "test_x", 1)), ("there is no test",)),
    "a rule without test": ((ENTRY, "- something\n"), ("neither a test nor a reason: something",)),
    "a name that is only text": ((ENTRY, "- something\n  - test_something\n"), ("neither a test nor a reason",)),
    "a reason that is none": (
        (ENTRY, "- something\n  - not held: later\n"),
        ("neither a test nor a reason", "the README counts"),
    ),
    "a reason that is not counted": (
        (ENTRY, "- something\n  - not held: it is not visible from outside\n"),
        ("the README counts",),
    ),
    "a rule that is not counted": ((ENTRY, f"{ENTRY}- one more\n  - `{FIRST_TEST}`\n"), ("the README counts",)),
    "a rule that is there twice": ((ENTRY, f"{ENTRY}{ENTRY}"), ("is there twice", "the README counts")),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_planted_violation_is_found(name: str) -> None:
    (old, new), expected = VIOLATIONS[name]
    lines = list(problems(_planted(PAGE, old, new), README, existing()))
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))


@pytest.mark.parametrize("change", ["<!-- contract -->", "<!-- /contract -->", " of "])
def test_a_readme_that_counts_otherwise_is_found(change: str) -> None:
    [line] = re.findall("<!-- contract -->.*?<!-- /contract -->", README, re.DOTALL)
    spoiled = README.replace(line, line.replace(change, " 9 of " if change == " of " else "", 1))
    [problem] = problems(PAGE, spoiled, existing())
    assert problem.startswith("the README counts")
