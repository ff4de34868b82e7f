"""Makes each service's OpenAPI document and compares it with its file in docs/openapi/."""

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
    """Return the document of a service. It depends on no setting, and nothing is connected to."""
    definition: Service = import_module(f"{service}.app").SERVICE
    return definition.application(load(definition.settings, environment="development")).openapi()


def text(content: Document) -> str:
    """Return a document as the text of its file; the order of its keys is always the same."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[Path, str]:
    """Return the text of all files by path relative to the checkout."""
    return {FOLDER / f"{service}.json": text(document(service)) for service in SERVICES}


def differences(root: Path, files: Mapping[Path, str]) -> list[str]:
    """Return a unified diff, as lines, between the files below `root` and their expected text."""
    return [line for path, expected in files.items() for line in _difference(root, path, expected)] + _others(
        root, files
    )


def _difference(root: Path, path: Path, expected: str) -> Iterator[str]:
    present = (root / path).read_text("utf-8") if (root / path).is_file() else ""
    if present != expected:
        # Split at line feeds alone, so that a missing line feed at the end of the file shows as well.
        yield from difflib.unified_diff(
            present.split("\n"), expected.split("\n"), f"{path} (file)", f"{path} (service)", lineterm=""
        )


def _others(root: Path, files: Mapping[Path, str]) -> list[str]:
    present = (path.relative_to(root) for path in sorted((root / FOLDER).glob("*.json")))
    return [f"{path} belongs to no service" for path in present if path not in files]


def write(root: Path, files: Mapping[Path, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, "utf-8")
