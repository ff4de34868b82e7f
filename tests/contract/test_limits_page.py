"""The page of limits names tests that exist and settings that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(test_\w+)`", PAGE)))
SETTINGS = sorted(set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", PAGE)))


@pytest.fixture(scope="module")
def defined() -> set[str]:
    """Return the names of all test functions."""
    files = (path for path in ROOT.rglob("*.py") if not {".venv", ".local"} & set(path.parts))
    return {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", TESTS)
def test_each_test_that_the_page_of_limits_names_exists(defined: set[str], name: str) -> None:
    assert name in defined


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_that_the_page_of_limits_names_is_in_the_example_of_an_environment(name: str) -> None:
    assert re.search(rf"^#?\s*{name}=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
