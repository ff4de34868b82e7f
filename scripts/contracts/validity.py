"""Checks a document against AsyncAPI 3.0: its JSON Schema, and that every reference resolves.

The schema is kept here (see asyncapi_3_0_0/README.md) so that checks and tests need neither a network nor Node.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

_SCHEMA = Path(__file__).parent / "asyncapi_3_0_0" / "schema.json"


@cache
def _validator() -> Draft7Validator:
    return Draft7Validator(json.loads(_SCHEMA.read_text("utf-8")))


def invalid(document: dict[str, Any]) -> list[str]:
    """Return a line for each error of a document."""
    error = best_match(_validator().iter_errors(document))
    wrong = [f"{error.json_path}: {error.message}"] if error else []
    return wrong + [f"{ref}: does not resolve" for ref in _references(document) if not _resolves(document, ref)]


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _resolves(document: dict[str, Any], ref: str) -> bool:
    """Follow a reference within the document; none of its names has a `/` or a `~` in it."""
    part: Any = document
    for name in ref.removeprefix("#/").split("/"):
        if not isinstance(part, dict) or name not in part:
            return False
        part = part[name]
    return ref.startswith("#/")
