"""docs/faults.md: which test shows what becomes of each fault, and the figures that a run has measured.

`FAULTS_RECORD=faults.jsonl pytest tests/chaos`, then `python -m tests.chaos.page faults.jsonl` writes the recovery times;
`python -m tests.chaos.page --seeds chaos.jsonl` writes the table of seeds from what `--record` has kept.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"
TESTS = ROOT / "tests" / "chaos"
FAULTS = range(1, 79)
NOTHING = "–"
SEEDS_BEGIN, SEEDS_END = "<!-- seeds -->\n", "<!-- end of seeds -->\n"


@dataclass(frozen=True)
class Row:
    """A row of the table: `text` cells as written, the tests it names, and the recovery as shown."""

    number: int
    cells: tuple[str, ...]

    @property
    def tests(self) -> list[str]:
        """Give the names of its tests."""
        return re.findall(r"`(test_\w+)`", self.cells[4])

    @property
    def recovery(self) -> str:
        """Give the last cell."""
        return self.cells[5]

    def __str__(self) -> str:
        return f"| {' | '.join(self.cells)} |"


def rows(page: str) -> Iterator[Row]:
    """Read the rows of faults out of the page."""
    for line in page.splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
        if line.startswith("| ") and len(cells) == 6 and cells[0].isdecimal():
            yield Row(int(cells[0]), cells)


def marked() -> dict[str, set[int]]:
    """Give each test of a fault with the numbers that its marker names."""
    found: dict[str, set[int]] = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                numbers = {
                    int(str(argument.value)) for call in node.decorator_list
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault"
                    for argument in call.args if isinstance(argument, ast.Constant)
                }  # fmt: skip
                if numbers:
                    found[node.name] = numbers
    return found


def filled(page: str, measured: dict[str, float]) -> str:
    """Write into each row the longest recovery of its tests; where none recovers from anything, a dash."""
    for row in list(rows(page)):
        times = [measured[test] for test in row.tests if test in measured]
        shown = f"{max(times):.1f} s" if times else NOTHING
        page = page.replace(str(row), str(replace(row, cells=(*row.cells[:5], shown))))
    return page


def recorded(path: Path) -> dict[str, float]:
    """Read the longest recovery of each test, parameters aside."""
    found: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        name = entry["test"].split("[")[0]
        found[name] = max(found.get(name, 0.0), entry["recovery_s"])
    return found


def seeds_table(verdicts: list[dict[str, Any]]) -> str:
    """Make the table of seeds; times in seconds since the healing."""
    lines = ["| seed | faults | orders | paid | ready | at rest | left wrong |", "|---|---|---|---|---|---|---|"]
    for each in verdicts:
        faults = "; ".join(re.sub(r"^[\d.]+ s\s+|(?<= ) +", "", fault) for fault in each["faults"])
        wrong = "<br>".join(each["wrong"]) or "nothing"
        lines.append(
            f"| {each['seed']} | {faults} | {each['orders']} | {each['paid']} | {each['ready_s']:.1f} s"
            f" | {each['recovery_s']:.1f} s | {wrong} |"
        )
    return "\n".join(lines) + "\n"


def with_seeds(page: str, table: str) -> str:
    """Put the table of seeds between its marks."""
    before, rest = page.split(SEEDS_BEGIN)
    return f"{before}{SEEDS_BEGIN}\n{table}\n{SEEDS_END}{rest.split(SEEDS_END)[1]}"


def main(arguments: list[str]) -> None:
    """Rewrite the page from what was recorded."""
    page = PAGE.read_text(encoding="utf-8")
    if arguments[0] == "--seeds":
        lines = Path(arguments[1]).read_text(encoding="utf-8").splitlines()
        page = with_seeds(page, seeds_table([json.loads(line) for line in lines]))
    else:
        page = filled(page, recorded(Path(arguments[0])))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
