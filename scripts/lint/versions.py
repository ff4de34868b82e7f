"""Checks that the version has one place, and that the changelog names it."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PLACE = Path("chassis/chassis/__init__.py")
PACKAGES = ("chassis", "userfc", "productfc", "orderfc", "paymentfc", "console", "scripts")
CHANGELOG = Path("CHANGELOG.md")
_VERSION = re.compile(r'^__version__ = "(\d+\.\d+\.\d+)"$', re.MULTILINE)
_SECTION = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d\d-\d\d))?\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_UNRELEASED = "Unreleased"


def version(root: Path) -> str:
    """Return the version. Raises ValueError where it is not there in the form 1.2.3."""
    found = _VERSION.findall((root / PLACE).read_text("utf-8"))
    if len(found) != 1:
        raise ValueError(f"{PLACE} has no __version__ of the form 1.2.3")
    return str(found[0])


def sections(root: Path) -> dict[str, tuple[str, str]]:
    """Return date and text by version, the newest first; "Unreleased" has no date."""
    text = (root / CHANGELOG).read_text("utf-8")
    return {name: (date, body.strip()) for name, date, body in _SECTION.findall(text)}


def problems(root: Path) -> list[str]:
    """Return a line for each package with a version of its own, and for each way in which the changelog differs."""
    try:
        expected = version(root)
    except ValueError as error:
        return [str(error)]
    return [*(line for package in PACKAGES for line in _package(root, package)), *_changelog(root, expected)]


def _package(root: Path, package: str) -> Iterator[str]:
    content = tomllib.loads((root / package / "pyproject.toml").read_text("utf-8"))
    place = content.get("tool", {}).get("hatch", {}).get("version", {}).get("path", "")
    if "version" in content["project"] or (root / package / place).resolve() != (root / PLACE).resolve():
        yield f"{package}/pyproject.toml: its version does not come from {PLACE}"


def _changelog(root: Path, expected: str) -> Iterator[str]:
    names = list(sections(root))
    if names[:1] != [_UNRELEASED]:
        yield f"{CHANGELOG}: its first section is not [{_UNRELEASED}]"
    released = [name for name in names if name != _UNRELEASED]
    if released[:1] != [expected]:
        yield f"{CHANGELOG}: its newest version is {', '.join(released[:1]) or 'missing'}, expected {expected}"


def unready(root: Path, tag: str) -> list[str]:
    """Return what keeps a tag from being released."""
    expected, found = version(root), sections(root)
    date, text = found.get(expected, ("", ""))
    lines = problems(root)
    if tag != f"v{expected}":
        lines.append(f"the tag is {tag or 'missing'}, expected v{expected}")
    if not date:
        lines.append(f"{CHANGELOG}: [{expected}] has no date")
    if not text:
        lines.append(f"{CHANGELOG}: [{expected}] says nothing")
    if found.get(_UNRELEASED, ("", ""))[1]:
        lines.append(f"{CHANGELOG}: [{_UNRELEASED}] holds changes that belong to [{expected}]")
    return lines
