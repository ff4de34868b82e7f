"""Makes each service's OpenAPI document, and finds where the files in docs/openapi/ say something else."""

import difflib
import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from chassis.config.settings import load
from chassis.service import Service
from fc.stack.layout import SERVICES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("docs/openapi")

Document = dict[str, Any]


def document(service: str) -> Document:
    """Make the document of a service; nothing is connected to, and no setting shows in it."""
    made: Service = import_module(f"{service}.app").SERVICE
    return made.application(load(made.settings)).openapi()


def text(made: Document) -> str:
    """Write a document as its file holds it: in the order in which it was made, which is always the same."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def wanted() -> dict[Path, str]:
    """Make all files: text by path relative to the checkout."""
    return {FOLDER / f"{service}.json": text(document(service)) for service in SERVICES}


def differences(root: Path, files: Mapping[Path, str]) -> list[str]:
    """Give a unified diff, as lines, of what the files below `root` hold and what they should hold."""
    return [line for path, made in files.items() for line in _difference(root, path, made)] + _strangers(root, files)


def _difference(root: Path, path: Path, made: str) -> Iterator[str]:
    there = (root / path).read_text("utf-8") if (root / path).is_file() else ""
    if there != made:
        # Split at line feeds alone, so that an end of file without one shows as well.
        yield from difflib.unified_diff(
            there.split("\n"), made.split("\n"), f"{path} (file)", f"{path} (service)", lineterm=""
        )


def _strangers(root: Path, files: Mapping[Path, str]) -> list[str]:
    found = (path.relative_to(root) for path in sorted((root / FOLDER).glob("*.json")))
    return [f"{path} belongs to no service" for path in found if path not in files]


def write(root: Path, files: Mapping[Path, str]) -> None:
    """Write all files below `root`."""
    for path, made in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(made, "utf-8")
