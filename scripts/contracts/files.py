"""The contract's files: their text as the code implies it, their text as it is, and changes that break a reader."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from contracts import saga
from contracts.asyncapi import document
from contracts.compatibility import incompatibilities
from contracts.schemas import Schema, needed, published
from contracts.topics import TOPICS, readers_of

ROOT = Path(__file__).resolve().parents[2]

ASYNCAPI = Path("docs/asyncapi.yaml")
SAGA = Path("docs/saga.md")
_EVENTS = Path("protos/events")
_ENDING = ".schema.json"
_YAML_HEAD = "# Made by `python -m contracts write` from the services' event models. Do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Writes for people: repeats parts in place of YAML aliases, and keeps the lines of a text."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def schema_file(topic: str) -> Path:
    """Return the path of a topic's schema, relative to the checkout."""
    return _EVENTS / f"{topic}{_ENDING}"


def golden(root: Path) -> dict[str, Any]:
    """Read the golden examples by topic."""
    return {topic.name: json.loads((root / _EVENTS / f"{topic.name}.json").read_text("utf-8")) for topic in TOPICS}


def asyncapi(text: str) -> dict[str, Any]:
    """Read the AsyncAPI document from its text."""
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def generated(root: Path) -> dict[Path, str]:
    """Return the text of all generated files by relative path.

    They are made from the models and from the golden examples and sources below `root`. Raises Disagreement.
    """
    files = {
        schema_file(topic.name): json.dumps(published(topic), indent=2, ensure_ascii=False) + "\n" for topic in TOPICS
    }
    text = yaml.dump(document(golden(root)), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    files[ASYNCAPI] = _YAML_HEAD + text
    files[SAGA] = saga.page(root)
    return files


def committed(root: Path) -> dict[str, Schema]:
    """Read the committed schemas by topic: those of what was published before."""
    return {
        path.name.removesuffix(_ENDING): json.loads(path.read_text("utf-8"))
        for path in sorted((root / _EVENTS).glob(f"*{_ENDING}"))
    }


def broken(root: Path) -> list[str]:
    """Return a sentence for each reader that the models would break, given what was published before."""
    before = committed(root)
    now = {topic.name: published(topic) for topic in TOPICS}
    sentences = []
    for name in dict.fromkeys((*now, *before)):
        readers = {reader.name: needed(reader) for reader in readers_of(name)}
        sentences += incompatibilities(name, now.get(name), readers, before.get(name))
    return sentences


def differences(root: Path, files: Mapping[Path, str]) -> list[str]:
    """Return a unified diff, as lines, between the files below `root` and their expected text."""
    lines: list[str] = []
    for path, text in files.items():
        present = (root / path).read_text("utf-8") if (root / path).exists() else ""
        lines += difflib.unified_diff(
            present.splitlines(), text.splitlines(), f"{path} (as it is)", f"{path} (as it should be)", lineterm=""
        )
    return lines


def write(root: Path, files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        (root / path).write_text(text, "utf-8")
