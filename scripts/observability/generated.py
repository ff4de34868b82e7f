"""All generated files, and how they differ from those of a checkout."""

import difflib
from collections.abc import Iterator
from pathlib import Path

from observability import dashboards, runbook, slo
from observability.rules import FOLDER, ROOT
from observability.rules import files as rule_files

CHART = Path("deploy/helm/go-commerce/rules")


def files(root: Path = ROOT) -> dict[Path, str]:
    """Return the content of each generated file by its path in the checkout."""
    written = {FOLDER / "slo.rules.yml": slo.text(), runbook.PAGE: runbook.text(root)}
    # A chart can read no file outside its folder.
    copies = {CHART / file.name: file.read_text(encoding="utf-8") for file in rule_files(root)}
    return written | copies | dashboards.files()


def write(root: Path = ROOT) -> list[Path]:
    """Write the files that are not current, and return them."""
    changed = []
    # Twice: the table is made of the rules, of which some are written first.
    for _ in range(2):
        for path, text in files(root).items():
            if _current(root, path) != text:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
                changed.append(path)
    return changed


def differences(root: Path = ROOT) -> Iterator[str]:
    """Yield the lines in which a checkout differs from what would be written."""
    for path, text in files(root).items():
        old, new = _current(root, path).splitlines(), text.splitlines()
        yield from difflib.unified_diff(old, new, str(path), f"{path} as it should be", lineterm="", n=0)


def _current(root: Path, path: Path) -> str:
    return (root / path).read_text(encoding="utf-8") if (root / path).exists() else ""
