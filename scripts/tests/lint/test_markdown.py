"""The Markdown lint finds what it is for, and nothing else."""

from pathlib import Path

import pytest

from lint.markdown import problems

LONG = "x" * 196
TOO_LONG = "x" * 197


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one page and one program for links to lead to."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Other\n\n## Two words, and `code`\n", encoding="utf-8")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("", encoding="utf-8")
    return tmp_path


def lint(folder: Path, text: str) -> list[str]:
    (folder / "README.md").write_text(text, encoding="utf-8")
    return problems(folder)


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        (f"| {TOO_LONG} |\n", "README.md:1: a table line of 201 characters"),
        ("[other](docs/another.md)\n", "the link docs/another.md leads nowhere"),
        ("[other](docs/other.md#three)\n", "the link docs/other.md#three leads nowhere"),
        ("[other](#other)\n", "the link #other leads nowhere"),
        ("![picture](docs/picture.png)\n", "the link docs/picture.png leads nowhere"),
        ("see `app/other.py`\n", "there is no file app/other.py"),
        ("see `app/other.py::test_it`\n", "there is no file app/other.py"),
        ("```\n[x](y)\n```\n[z](docs/z.md)\n", "the link docs/z.md leads nowhere"),
    ],
)
def test_a_planted_violation_fails_the_lint(folder: Path, text: str, violation: str) -> None:
    [line] = lint(folder, text)
    assert violation in line


@pytest.mark.parametrize(
    "text",
    [
        f"| {LONG} |\n",
        f"{LONG} {LONG}\n",
        "[other](docs/other.md), [two](docs/other.md#two-words-and-code), [web](https://example.com/x.md)\n",
        "see `main.py`, `app/main.py` and `app/main.py::test_it`\n",
        "```\n[x](y)\n| " + LONG * 2 + " |\n```\n",
    ],
)
def test_other_text_passes_the_lint(folder: Path, text: str) -> None:
    assert lint(folder, text) == []
