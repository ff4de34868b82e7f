"""Write measured recovery times and the results of seeds into the pages of docs/evidence.

`FAULTS_RECORD=faults.jsonl pytest tests/chaos`, then `python -m tests.chaos.page faults.jsonl` writes the times.
`python -m tests.chaos.page --seeds chaos.jsonl` writes the seeds from the file that `--record` has written.
"""

import ast
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FAULT_PAGES = ROOT / "docs" / "evidence" / "faults"
SEEDS_PAGE = ROOT / "docs" / "evidence" / "seeds.md"
TESTS = ROOT / "tests" / "chaos"
FAULTS = tuple(range(1, 97))
NO_RECOVERY = "–"
SEEDS_BEGIN, SEEDS_END = "<!-- seeds -->\n", "<!-- end of seeds -->\n"

_HEADING = re.compile(r"^## (\d+)\. ", re.MULTILINE)
_RECOVERY = re.compile(r"^- Recovery: (.*)$", re.MULTILINE)
_TEST = re.compile(r"^  - `(test_\w+)`$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """The text of one fault on its page, from its heading to the next."""

    number: int
    text: str

    @property
    def tests(self) -> list[str]:
        return _TEST.findall(self.text)

    @property
    def recovery(self) -> str:
        """The measured time; empty unless the entry states exactly one."""
        times = _RECOVERY.findall(self.text)
        return str(times[0]) if len(times) == 1 else ""


def entries(page: str) -> Iterator[Entry]:
    """Split a page into its faults; text before the first and headings without a number belong to none."""
    for section in re.split(r"(?m)^(?=## )", page):
        if heading := _HEADING.match(section):
            yield Entry(int(heading[1]), section)


def fault_pages() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in sorted(FAULT_PAGES.glob("*.md"))}


def marked() -> dict[str, set[int]]:
    """Return the fault numbers of each test that has the marker `fault`."""
    tests: dict[str, set[int]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and (numbers := set(_fault_numbers(node))):
                tests[node.name] = numbers
    return tests


def _fault_numbers(function: ast.AsyncFunctionDef | ast.FunctionDef) -> Iterator[int]:
    for call in function.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
            yield from (int(str(each.value)) for each in call.args if isinstance(each, ast.Constant))


def filled(page: str, measured: dict[str, float]) -> str:
    """Write into each entry the longest recovery of its tests, or a dash when none was measured."""
    for entry in entries(page):
        times = [measured[test] for test in entry.tests if test in measured]
        recovery = f"{max(times):.1f} s" if times else NO_RECOVERY
        page = page.replace(entry.text, _RECOVERY.sub(f"- Recovery: {recovery}", entry.text))
    return page


def recorded(path: Path) -> dict[str, float]:
    """Read the longest recovery of each test; the cases of a parametrized test count as one."""
    longest: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        name = record["test"].split("[")[0]
        longest[name] = max(longest.get(name, 0.0), record["recovery_s"])
    return longest


def seeds_section(verdicts: list[dict[str, Any]]) -> str:
    """Format the results as a table with one row per seed, and a list of each seed's faults and findings."""
    rows = ["| seed | faults | orders | paid | ready | at rest | left wrong |", "|---|---|---|---|---|---|---|"]
    details: list[str] = []
    for verdict in verdicts:
        seed, wrong = verdict["seed"], verdict["wrong"]
        faults = [re.sub(r"^[\d.]+ s\s+|(?<= ) +", "", fault) for fault in verdict["faults"]]
        rows.append(
            f"| {seed} | {len(faults)} | {verdict['orders']} | {verdict['paid']} | {verdict['ready_s']:.1f} s"
            f" | {verdict['recovery_s']:.1f} s | {len(wrong) or 'nothing'} |"
        )
        details += _wrapped(f"{seed}. {'; '.join(faults)}")
        details += [f"    - left wrong: {finding}" for finding in wrong]
    return "\n".join([*rows, "", "The faults of each seed:", "", *details]) + "\n"


def _wrapped(item: str) -> list[str]:
    indent = " " * (item.index(" ") + 1)
    return textwrap.wrap(item, 118, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def with_seeds(page: str, section: str) -> str:
    """Replace what stands between the marks of the seeds."""
    before, rest = page.split(SEEDS_BEGIN)
    return f"{before}{SEEDS_BEGIN}\n{section}\n{SEEDS_END}{rest.split(SEEDS_END)[1]}"


def main(arguments: list[str]) -> None:
    if arguments[0] == "--seeds":
        verdicts = [json.loads(line) for line in Path(arguments[1]).read_text(encoding="utf-8").splitlines()]
        page = SEEDS_PAGE.read_text(encoding="utf-8")
        SEEDS_PAGE.write_text(with_seeds(page, seeds_section(verdicts)), encoding="utf-8")
        return
    measured = recorded(Path(arguments[0]))
    for path, page in fault_pages().items():
        path.write_text(filled(page, measured), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
