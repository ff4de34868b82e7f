"""Holds the faults of `make mutants` to the code, so that moving code cannot silently disable one."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from mutants.faults import Fault


def problems(root: Path, faults: Iterable[Fault]) -> list[str]:
    """Return a line for each fault that no longer fits the files below `root`."""
    return [
        f"scripts/mutants/faults.py: {fault.name!r}: {problem}"
        for fault in faults
        for problem in (*_place(root, fault), *_test(root, fault))
    ]


def _place(root: Path, fault: Fault) -> Iterator[str]:
    path = root / fault.file
    text = path.read_text("utf-8") if path.is_file() else ""
    if (count := text.count(fault.sound)) != 1:
        yield f"its text occurs {count} times in {fault.file}, not once"
    elif fault.sound == fault.faulty:
        yield "it changes nothing"
    else:
        try:
            ast.parse(text.replace(fault.sound, fault.faulty))
        except SyntaxError as error:
            yield f"it leaves no valid Python: {error}"


def _test(root: Path, fault: Fault) -> Iterator[str]:
    file, *names = fault.catch.split("::")
    path = root / file
    if not path.is_file() or f"def {names[-1]}(" not in path.read_text("utf-8"):
        yield f"there is no test {fault.catch}"
