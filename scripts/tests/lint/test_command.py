"""`python -m lint`: a problem that any of the checks finds is printed and fails the command."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lint.sources import ROOT

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".local", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lint", str(folder)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, which may be changed."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("lint") / "copy", ignore=LEFT_OUT))


def test_this_checkout_passes(checkout: Path) -> None:
    done = lint(checkout)
    assert (done.returncode, done.stdout[:12]) == (0, "No problems:"), done.stdout


@pytest.mark.parametrize(
    ("file", "line", "problem"),
    [
        ("orderfc/orderfc/model.py", "def find(name): return names.find(name)", "find only passes its arguments on"),
        ("orderfc/orderfc/model.py", "import requests", "requests is not declared"),
        ("docs/events.md", "[nowhere](nowhere.md)", "the link nowhere.md leads nowhere"),
        ("orderfc/orderfc/handler/http.py", "    status_code=201,", "its text occurs 2 times"),
    ],
)
def test_a_planted_problem_fails(checkout: Path, file: str, line: str, problem: str) -> None:
    path = checkout / file
    sound = path.read_text("utf-8")
    path.write_text(f"{sound}\n{line}\n", "utf-8")
    try:
        done = lint(checkout)
    finally:
        path.write_text(sound, "utf-8")
    assert done.returncode == 1
    assert problem in done.stdout
