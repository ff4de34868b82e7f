"""`make museum EXHIBIT=3`: one defect of the Go original. Its page, its code, and the audit without and with it.

The defect is planted in a copy of the project, and the copy's stack plays the story: `mutants` does both.
"""

import argparse
import difflib
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mutants.faults import AUDITED, Fault
from mutants.planting import ROOT, copied, planted, run

PAGES = ROOT / "docs" / "museum"
COMMAND = "make museum EXHIBIT="


@dataclass(frozen=True)
class Exhibit:
    """A page of docs/museum without its number, and the name of the fault that brings its defect back."""

    page: str
    fault: str


EXHIBITS = (
    Exhibit("the-offset-before-the-work", "the offset is committed before the work"),
    Exhibit("two-writes", "the outbox row is written outside the transaction"),
    Exhibit("no-inbox", "the inbox check is removed"),
    Exhibit("the-last-event-wins", "a status is updated without a guard"),
    Exhibit("stock-from-nowhere", "a rollback is applied without the ledger"),
    Exhibit("the-topic-as-an-argument", "an event goes out under another topic"),
    Exhibit("any-amount-pays", "any amount of money pays"),
    Exhibit("the-stale-cache", "a change leaves the cache as it is"),
    Exhibit("half-an-order", "a refused order keeps the lines that were there"),
    Exhibit("two-invoices", "a second invoice is made without a look for the first"),
    Exhibit("given-up-in-silence", "a request is given up without a word"),
    Exhibit("refused-in-silence", "stock is refused without a word"),
)


def page_of(number: int) -> Path:
    """Return the page of an exhibit, counted from 1."""
    return PAGES / f"{number:02}-{EXHIBITS[number - 1].page}.md"


def fault_of(number: int) -> Fault:
    """Return the fault of an exhibit, counted from 1."""
    [fault] = [fault for fault in AUDITED if fault.name == EXHIBITS[number - 1].fault]
    return fault


def title_of(number: int) -> str:
    return page_of(number).read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")


def findings(output: str) -> list[str]:
    """Return what the audit has found, from the output of a test whose audit was not exact."""
    found = re.search(r"^E +AssertionError: the auditor: (.*)$", output, re.MULTILINE)
    return found.group(1).split("; ") if found else []


class Guide:
    """Shows exhibits on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def list_all(self) -> None:
        for number in range(1, len(EXHIBITS) + 1):
            self._console.print(f"{COMMAND}{number:<3} {title_of(number).split('. ', 1)[1]}", highlight=False)

    def show(self, number: int) -> bool:
        """Show an exhibit; return whether the audit is exact without its defect and names it with it."""
        fault = fault_of(number)
        introduction = page_of(number).read_text(encoding="utf-8").split("\n\n")[1]
        self._console.print(f"[bold]{title_of(number)}[/]\n\n{' '.join(introduction.split())}\n")
        self._code(fault)
        with copied() as copy:
            sound = self._play(copy, fault, "Without the defect")
            with planted(copy, fault) as fits:
                found = self._play(copy, fault, "With the defect") if fits else []
        self._console.print(f"\nMore: {page_of(number).relative_to(ROOT)}")
        return not sound and any(line.startswith(fault.says) for line in found)

    def _code(self, fault: Fault) -> None:
        self._console.print(fault.file, style="bold")
        for line in difflib.ndiff(fault.sound.splitlines(), fault.faulty.splitlines()):
            if not line.startswith("?"):
                self._console.print(line, style={"-": "green", "+": "red"}.get(line[0]), markup=False)
        self._console.print()

    def _play(self, copy: Path, fault: Fault, heading: str) -> list[str]:
        self._console.print(f"[bold]{heading}[/]: {fault.catch.rsplit('::', 1)[1].removeprefix('test_')} ...")
        began = time.monotonic()
        failed, output = run(copy, [fault.catch])
        found = findings(output) or ["the story failed: " + line for line in sorted(failed)]
        for line in found:
            self._console.print(f"  violation  {line}", style="red", markup=False)
        if not found:
            self._console.print("  the audit finds no violation", style="green")
        self._console.print(f"  {time.monotonic() - began:.0f} s on a stack of its own", style="dim")
        return found


def main() -> int:
    """Show the exhibit that the command line names, or list all; return the exit code."""
    parser = argparse.ArgumentParser(prog="museum", description="Show a defect of the Go original and what finds it.")
    parser.add_argument("number", nargs="?", type=int, choices=range(1, len(EXHIBITS) + 1), metavar="1..12")
    number = parser.parse_args().number
    guide = Guide(Console(soft_wrap=True, highlight=False))
    if number is None:
        guide.list_all()
        return 0
    return 0 if guide.show(number) else 1


if __name__ == "__main__":
    sys.exit(main())
