"""Checks the Markdown pages: links and file names resolve, and no line of a table is over 200 characters."""

import re
from collections.abc import Iterator
from pathlib import Path

LONGEST_TABLE_LINE = 200
SKIPPED = re.compile(r"^(\.\w+|node_modules|__pycache__)$")
_FENCE = re.compile(r"^\s*```")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|toml|ya?ml|json|txt|in|sh|http|sql))(?:::\w+)?`")
_HEADING = re.compile(r"^#+ (.+)$")


def files(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, those in hidden folders (but .ci and .github) left out."""
    for path in root.iterdir():
        if path.is_dir():
            if path.name in (".ci", ".github") or not SKIPPED.match(path.name):
                yield from files(path)
        else:
            yield path


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside of fenced code."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = [heading[1] for _, line in prose(text) if (heading := _HEADING.match(line))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_link(page: Path, target: str) -> bool:
    """Whether a relative link leads to no file, or to no heading of it."""
    if re.match(r"[a-z]+:", target):
        return False
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists():
        return True
    return bool(anchor) and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8"))


def violations(page: Path, endings: set[str]) -> Iterator[str]:
    """Describe each violation of a page; `endings` has each file of the project under every ending of its path."""
    for number, line in prose(page.read_text(encoding="utf-8")):
        if line.startswith("|") and len(line) > LONGEST_TABLE_LINE:
            yield f"{page}:{number}: a table line of {len(line)} characters; at most {LONGEST_TABLE_LINE} are allowed"
        for target in _LINK.findall(line):
            if broken_link(page, target):
                yield f"{page}:{number}: the link {target} leads nowhere"
        for name in _FILE.findall(line):
            if name not in endings:
                yield f"{page}:{number}: there is no file {name}"


def endings_of(path: Path) -> Iterator[str]:
    """Yield `c.py`, `b/c.py` and `a/b/c.py` for `a/b/c.py`."""
    for start in range(len(path.parts)):
        yield "/".join(path.parts[start:])


def problems(root: Path) -> list[str]:
    """Return a line for each violation below a folder."""
    every = sorted(files(root))
    endings = {ending for path in every for ending in endings_of(path.relative_to(root))}
    lines = [line for page in every if page.suffix == ".md" for line in violations(page, endings)]
    return [line.removeprefix(f"{root}/") for line in lines]
