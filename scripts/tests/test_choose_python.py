"""`make setup` uses a clearly faster build of the same Python when PATH has one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "choose_python.py"
SAME = list(sys.version_info[:2])


def put(folder: Path, name: str, seconds: float, version: list[int] = SAME) -> str:
    """Make a Python that says of itself what it is told to; return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    answer = json.dumps({"python": str(path), "version": version, "seconds": seconds})
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return str(path)


def choose(*folders: Path) -> tuple[str, str]:
    """Run the script; return the path that it prints, and what it says."""
    environment = {"PATH": ":".join(str(folder) for folder in folders)}
    done = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip(), done.stderr


def test_a_clearly_faster_build_of_the_same_version_is_used_and_named(tmp_path: Path) -> None:
    put(tmp_path / "first", "python3", 0.015)
    fast = put(tmp_path / "second", f"python{SAME[0]}.{SAME[1]}", 0.010)
    assert choose(tmp_path / "first", tmp_path / "second") == (
        fast,
        f"{fast} is 1.5 times as fast as the first python3 on PATH, and is used "
        "(make setup PYTHON=... uses another).\n",
    )


@pytest.mark.parametrize(
    ("seconds", "version"),
    [
        pytest.param(0.014, SAME, id="little faster"),
        pytest.param(0.001, [SAME[0], SAME[1] + 1], id="other version"),
    ],
)
def test_first_python_is_used_unless_another_of_its_version_is_much_faster(
    tmp_path: Path, seconds: float, version: list[int]
) -> None:
    first = put(tmp_path / "first", "python3", 0.015)
    put(tmp_path / "second", "python3", seconds, version)
    assert choose(tmp_path / "first", tmp_path / "second") == (first, "")


def test_one_that_fails_or_cannot_make_an_environment_is_not_used(tmp_path: Path) -> None:
    first = put(tmp_path / "first", "python3", 0.015)
    for name, text in {"second": "exit 127", "third": "echo 'no module named ensurepip' >&2; exit 1"}.items():
        Path(put(tmp_path / name, "python3", 0.001)).write_text(f"#!/bin/sh\n{text}\n")
    assert choose(tmp_path / "first", tmp_path / "second", tmp_path / "third") == (first, "")


def test_a_real_python_says_what_it_is() -> None:
    real = Path(sys.executable).resolve()
    assert choose(real.parent)[0] == str(real)
