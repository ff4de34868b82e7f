"""Prints the Python that `make setup` uses: `python3`, or a clearly faster build of the same version on PATH.

Builds of one version differ: Debian's is made with profile-guided optimisation, pyenv's by default is not and needs up
to half as much time again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

# One that is a little faster is no reason to leave the developer's choice.
CLEARLY = 1.15
ROUNDS = 3
ASK_S = 20
# Prints what a Python is, and the seconds that it needs for calls, attributes, dictionaries and texts.
ASK = """
import ensurepip, json, os, sys, time, venv
class Item:
    def __init__(self, number):
        self.number = number
    def twice(self):
        return self.number * 2
def work():
    found = {}
    for number in range(20000):
        found["item %d" % (number % 100)] = Item(number).twice()
def measured():
    began = time.process_time()
    work()
    return time.process_time() - began
best = min(measured() for _ in range(5))
print(json.dumps({"python": os.path.realpath(sys.executable), "version": sys.version_info[:2], "seconds": best}))
"""


def candidates() -> list[str]:
    """Return each `python3` and `python3.N` of this version on PATH, the one that `python3` runs first."""
    names = ("python3", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found = [shutil.which(name, path=folder) for name in names for folder in folders if folder]
    return list(dict.fromkeys(path for path in found if path))


def ask(path: str) -> dict[str, Any] | None:
    """Return what a Python reports of itself, or None if it does not work or can't make a virtual environment."""
    try:
        done = subprocess.run(
            [path, "-c", ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=ASK_S, check=True
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return answer


def choose(paths: list[str]) -> tuple[str, float]:
    """Return the Python to use, and how many times as fast as the first it is; 1.0 when it is the first."""
    # In this order, the first first: several paths may lead to one Python.
    best: dict[str, float] = {}
    for path in paths:
        note(best, ask(path))
    for _ in range(ROUNDS - 1):
        for python in list(best):
            note(best, ask(python))
    if not best:
        return sys.executable, 1.0
    first = next(iter(best))
    fastest = min(best, key=best.__getitem__)
    gain = best[first] / best[fastest]
    return (fastest, gain) if gain > CLEARLY else (first, 1.0)


def note(best: dict[str, float], answer: dict[str, Any] | None) -> None:
    """Keep the least time of each Python of this version."""
    if answer and answer["version"] == list(sys.version_info[:2]):
        python = answer["python"]
        best[python] = min(answer["seconds"], best.get(python, answer["seconds"]))


def main() -> None:
    """Print the path; say on standard error when it is not the first."""
    python, gain = choose(candidates())
    if gain > 1.0:
        sys.stderr.write(
            f"{python} is {gain:.1f} times as fast as the first python3 on PATH, and is used "
            "(make setup PYTHON=... uses another).\n"
        )
    sys.stdout.write(python + "\n")


if __name__ == "__main__":
    main()
