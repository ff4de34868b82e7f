"""The table of error codes in docs/errors.md has every code of the program and no other."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from chassis.errors import AppError
from chassis.http import app as http

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \|", re.MULTILINE)
SERVICES = ("userfc", "productfc", "orderfc", "paymentfc")


def documented(text: str) -> dict[str, int]:
    """Read the table: code -> HTTP status."""
    return {code: int(status) for code, status in ROW.findall(text)}


def _refusals(kind: type[AppError]) -> list[type[AppError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in _refusals(sub))]


def in_code() -> dict[str, int]:
    """Collect every code that the program can answer, with its HTTP status."""
    for service in SERVICES:
        import_module(f"{service}.errors")
    found = {code: status for status, (code, _) in http._CODES.items()}
    found |= {kind.code: http.STATUS[kind.kind] for kind in _refusals(AppError)}
    given = re.compile(r'\bcode="([a-z_]+)"')
    sources = [ROOT / "chassis" / "chassis", *(ROOT / name / name for name in SERVICES)]
    for path in (file for folder in sources for file in folder.rglob("*.py")):
        for code in given.findall(path.read_text(encoding="utf-8")):
            found.setdefault(code, 401)
    return found


def test_the_table_lists_every_code_with_its_status_and_no_other() -> None:
    assert documented((ROOT / "docs" / "errors.md").read_text(encoding="utf-8")) == in_code()


@pytest.mark.parametrize("change", ["| `forbidden` | 403 |", "| `forbidden` | 404 |", ""])
def test_a_row_that_is_missing_or_wrong_is_noticed(change: str) -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    spoiled = text.replace("| `forbidden` | 403 |", change)
    assert (documented(spoiled) == in_code()) is (change == "| `forbidden` | 403 |")
