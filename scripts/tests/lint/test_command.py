"""`python -m lint`: a problem that any of the checks finds is printed and fails the command."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lint.sources import ROOT

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".local", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
PLANTED = [
    ("orderfc/orderfc/model.py", "def find(name): return names.find(name)", "find only passes its arguments on"),
    ("orderfc/orderfc/errors.py", "import requests", "requests is not declared"),
    ("orderfc/orderfc/usecase/checkout.py", "async def peek(tx): await tx.driver().fetch(Q)", "it calls .driver()"),
    ("docs/events.md", "[nowhere](nowhere.md)", "the link nowhere.md leads nowhere"),
    ("orderfc/orderfc/handler/http.py", "# return Response(content, 201, headers", "its text occurs 2 times"),
    (".github/workflows/ci.yml", "      - run: make nonsense", "make has no target nonsense"),
    ("chassis/chassis/__init__.py", '__version__ = "9.8.7"', "has no __version__ of the form"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lint", str(folder)], capture_output=True, text=True, check=False)


def test_this_checkout_passes_and_each_planted_problem_is_printed_and_fails_the_command(tmp_path: Path) -> None:
    checkout = Path(shutil.copytree(ROOT, tmp_path / "copy", ignore=LEFT_OUT))
    passing = lint(checkout)
    assert (passing.returncode, passing.stdout[:12]) == (0, "No problems:"), passing.stdout
    for file, line, _ in PLANTED:
        with (checkout / file).open("a", encoding="utf-8") as text:
            text.write(f"\n{line}\n")
    failing = lint(checkout)
    assert failing.returncode == 1
    for *_, problem in PLANTED:
        assert problem in failing.stdout


@pytest.mark.parametrize("command", [["lint"], ["lint.measure", "--beside"]])
def test_a_folder_that_is_not_there_is_named_in_one_sentence(tmp_path: Path, command: list[str]) -> None:
    words = [sys.executable, "-m", *command, str(tmp_path / "nowhere")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{tmp_path / 'nowhere'} is no " in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
