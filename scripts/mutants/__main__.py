"""`make mutants`: plants every fault in a copy of the project and runs the test that must catch it.

Prints a table and exits with 1 when a test does not catch its fault, or a fault no longer fits the code.
"""

import argparse
import re
import sys
import time
from pathlib import Path

from rich.console import Console

from mutants.faults import FAULTS, Fault
from mutants.planting import copied, planted, run


def judge(copy: Path, fault: Fault) -> str:
    """Plant one fault, run its test, mend the copy; return `caught`, `missed`, `unnamed` or `stale`."""
    with planted(copy, fault) as fits:
        if not fits:
            return "stale"
        failed, output = run(copy, [fault.catch])
    return "missed" if fault.catch not in failed else "caught" if _named(fault, output) else "unnamed"


def _named(fault: Fault, output: str) -> bool:
    """Whether the output names the auditor's rule, where the fault has one."""
    return not fault.says or re.search(rf"the auditor: .*\b{fault.says}", output) is not None


def main() -> int:
    """Judge all faults, or those that the command line selects, and return the exit code."""
    parser = argparse.ArgumentParser(prog="mutants", description="Plant faults and run the tests that must catch them.")
    parser.add_argument("words", nargs="*", help="only faults whose name or file contains these words")
    words = " ".join(parser.parse_args().words)
    faults = [fault for fault in FAULTS if words in fault.name or words in fault.file]
    if not faults:
        parser.error(f"no fault has {words!r} in its name or file")
    console = Console(soft_wrap=True, highlight=False)
    with copied() as copy:
        if unsound := run(copy, sorted({fault.catch for fault in faults}))[0]:
            console.print(f"[red]These tests fail without any fault:[/] {', '.join(sorted(unsound))}")
            return 1
        counts = dict.fromkeys(("caught", "missed", "unnamed", "stale"), 0)
        for fault in faults:
            began = time.monotonic()
            verdict = judge(copy, fault)
            counts[verdict] += 1
            colour = "green" if verdict == "caught" else "red"
            test = f"the auditor: {fault.says}" if fault.says else fault.catch.rsplit("::", 1)[1]
            console.print(f"[{colour}]{verdict:<7}[/] {fault.name} [dim]({test}, {time.monotonic() - began:.0f} s)[/]")
    console.print(f"{counts['caught']} of {len(faults)} planted faults caught by name")
    return 0 if counts["caught"] == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
