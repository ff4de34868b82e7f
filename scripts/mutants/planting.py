"""A copy of the project: tests are run in it, and a fault is planted in it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mutants.faults import Fault

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("chassis", "userfc", "productfc", "orderfc", "paymentfc", "console", "scripts")
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".local", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
TEST_S = 600


@contextmanager
def copied() -> Iterator[Path]:
    """Copy the project into a temporary folder for the block."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        yield copy


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


@contextmanager
def planted(copy: Path, fault: Fault) -> Iterator[bool]:
    """Put a fault into the copy for the block. Returns False if it does not fit the code any more."""
    path = copy / fault.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(sound.replace(fault.sound, fault.faulty, 1), encoding="utf-8")
    try:
        yield fault.sound in sound
    finally:
        path.write_text(sound, encoding="utf-8")
