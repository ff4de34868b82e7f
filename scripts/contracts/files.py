"""The contract's files: what they should hold now, what they hold, and what in between would break somebody."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from contracts.asyncapi import document
from contracts.compatibility import incompatibilities
from contracts.schemas import Schema, needed, published
from contracts.topics import TOPICS, readers_of

ROOT = Path(__file__).resolve().parents[2]

ASYNCAPI = Path("docs/asyncapi.yaml")
_EVENTS = Path("protos/events")
_ENDING = ".schema.json"
_YAML_HEAD = "# Made by `python -m contracts write` from the services' event models. Do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Writes for people: what occurs twice is repeated, text of several lines keeps them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def schema_file(topic: str) -> Path:
    """Name the schema of a topic, relative to the checkout."""
    return _EVENTS / f"{topic}{_ENDING}"


def golden(root: Path) -> dict[str, Any]:
    """Read the golden examples by topic."""
    return {topic.name: json.loads((root / _EVENTS / f"{topic.name}.json").read_text("utf-8")) for topic in TOPICS}


def asyncapi(text: str) -> dict[str, Any]:
    """Read the AsyncAPI document from its text."""
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def wanted(root: Path) -> dict[Path, str]:
    """Make all generated files from the models and the golden examples below `root`: text by relative path."""
    files = {
        schema_file(topic.name): json.dumps(published(topic), indent=2, ensure_ascii=False) + "\n" for topic in TOPICS
    }
    text = yaml.dump(document(golden(root)), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    files[ASYNCAPI] = _YAML_HEAD + text
    return files


def committed(root: Path) -> dict[str, Schema]:
    """Read the schemas of what was published before, by topic."""
    return {
        path.name.removesuffix(_ENDING): json.loads(path.read_text("utf-8"))
        for path in sorted((root / _EVENTS).glob(f"*{_ENDING}"))
    }


def broken(root: Path) -> list[str]:
    """Say what the models as they are now would break, given what was published before."""
    before = committed(root)
    now = {topic.name: published(topic) for topic in TOPICS}
    sentences = []
    for name in dict.fromkeys((*now, *before)):
        readers = {reader.name: needed(reader) for reader in readers_of(name)}
        sentences += incompatibilities(name, now.get(name), readers, before.get(name))
    return sentences


def differences(root: Path, files: Mapping[Path, str]) -> list[str]:
    """Compare the files below `root` with what they should hold: lines of a unified diff, none when all are current."""
    lines: list[str] = []
    for path, text in files.items():
        there = (root / path).read_text("utf-8") if (root / path).exists() else ""
        lines += difflib.unified_diff(
            there.splitlines(), text.splitlines(), f"{path} (as it is)", f"{path} (as it should be)", lineterm=""
        )
    return lines


def write(root: Path, files: Mapping[Path, str]) -> None:
    """Write the files below `root`."""
    for path, text in files.items():
        (root / path).write_text(text, "utf-8")
