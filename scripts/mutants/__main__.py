"""`make mutants`: plants every fault in a copy of the project and runs the test that must catch it.

Prints a table and exits with 1 when a test does not catch its fault, or a fault no longer fits the code.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mutants.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("chassis", "userfc", "productfc", "orderfc", "paymentfc", "scripts")
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".local", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
TEST_S = 600


def run(copy: Path, nodes: Sequence[str]) -> tuple[set[str], str]:
    """Run tests in the copy; return those that failed, by node without parameters, and the output of pytest.

    Raises RuntimeError when pytest could not run them.
    """
    path = os.pathsep.join(str(copy / package) for package in PACKAGES)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider", *nodes],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=TEST_S,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run {nodes}:\n{done.stdout[-1500:]}{done.stderr[-500:]}")
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return {re.split(r"\[| - ", line.split(" ", 1)[1])[0] for line in lines}, done.stdout


def plant(copy: Path, fault: Fault) -> str | None:
    """Put a fault into the copy and return the sound text; None when the fault does not fit the code any more."""
    path = copy / fault.file
    sound = path.read_text(encoding="utf-8")
    if fault.sound not in sound:
        return None
    path.write_text(sound.replace(fault.sound, fault.faulty, 1), encoding="utf-8")
    return sound


def judge(copy: Path, fault: Fault) -> str:
    """Plant one fault, run its test, mend the copy; return `caught`, `missed`, `unnamed` or `stale`."""
    sound = plant(copy, fault)
    if sound is None:
        return "stale"
    try:
        failed, output = run(copy, [fault.catch])
        return "missed" if fault.catch not in failed else "caught" if _named(fault, output) else "unnamed"
    finally:
        (copy / fault.file).write_text(sound, encoding="utf-8")


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
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
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
