"""Decides whether a reader can read all that a producer publishes, field by field, from their JSON Schemas."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any

from contracts.schemas import Schema

# Any other keyword in a reader's schema is a problem, because it cannot be checked.
_SAYS_NOTHING = frozenset({"description", "examples", "$schema", "title", "default"})
_UNDERSTOOD = frozenset({"type", "enum", "const", "format", "pattern", "properties", "required", "items"})
_CLOSED = "additionalProperties"

# What a reader's bound asks of the producer's: any one of these.
_BOUNDS: dict[str, tuple[tuple[str, Callable[[Any, Any], bool]], ...]] = {
    "minimum": (("minimum", ge), ("exclusiveMinimum", ge)),
    "exclusiveMinimum": (("minimum", gt), ("exclusiveMinimum", ge)),
    "maximum": (("maximum", le), ("exclusiveMaximum", le)),
    "exclusiveMaximum": (("maximum", lt), ("exclusiveMaximum", le)),
    "minLength": (("minLength", ge),),
    "maxLength": (("maxLength", le),),
    "minItems": (("minItems", ge),),
    "maxItems": (("maxItems", le),),
}


@dataclass(frozen=True)
class Problem:
    """Why a field cannot be read: `published` describes the producer's side, `reads` the reader's."""

    path: str
    published: str
    reads: str


def kind(schema: Schema) -> str:
    """Return the type of a schema in words: `integer`, `string (date-time)`, `number or null`, `anything`."""
    if "anyOf" in schema:
        return " or ".join(kind(variant) for variant in schema["anyOf"])
    name = schema.get("type", "anything")
    return f"{name} ({schema['format']})" if "format" in schema else str(name)


def values(schema: Schema) -> list[Any] | None:
    """Return the only values that a schema allows, None when it lists none."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def listed(of: list[Any]) -> str:
    """Return values as text: `EXPIRED, FAILED`."""
    return ", ".join(sorted(str(value) for value in of))


def unreadable(sent: Schema, needed: Schema, path: str = "") -> Iterator[Problem]:
    """Find the fields of `sent` that a reader of `needed` cannot read; `path` leads to both."""
    for variant in sent.get("anyOf", [sent]):
        fitting = [part for part in needed.get("anyOf", [needed]) if _same_type(variant, part)]
        if fitting:
            yield from min((list(_unreadable(variant, part, path)) for part in fitting), key=len)
        else:
            yield Problem(path, f"may be {kind(variant)}", f"reads {kind(needed)}")


def _same_type(sent: Schema, needed: Schema) -> bool:
    if "type" not in needed:
        return True
    return sent.get("type") == needed["type"] or (sent.get("type"), needed["type"]) == ("integer", "number")


def _unreadable(sent: Schema, needed: Schema, path: str) -> Iterator[Problem]:
    if unknown := set(needed) - _SAYS_NOTHING - _UNDERSTOOD - set(_BOUNDS) - {_CLOSED}:
        yield Problem(path, "cannot be judged", f"declares {listed(list(unknown))}")
    yield from _values(sent, needed, path)
    yield from _bounds(sent, needed, path)
    yield from _fields(sent, needed, path)
    if "items" in needed:
        yield from unreadable(sent.get("items", {}), needed["items"], f"{path}[]")


def _values(sent: Schema, needed: Schema, path: str) -> Iterator[Problem]:
    for keyword in ("format", "pattern"):
        if keyword in needed and sent.get(keyword) != needed[keyword]:
            yield Problem(path, f"has {keyword} {sent.get(keyword, 'free')}", f"reads {needed[keyword]}")
    accepted, possible = values(needed), values(sent)
    if accepted is None:
        return
    takes = f"takes only {listed(accepted)}"
    if possible is None:
        yield Problem(path, f"may be any {kind(sent)}", takes)
    elif others := [value for value in possible if value not in accepted]:
        yield Problem(path, f"may be {listed(others)}", takes)


def _bounds(sent: Schema, needed: Schema, path: str) -> Iterator[Problem]:
    for bound, guarantees in _BOUNDS.items():
        if bound not in needed:
            continue
        limits = {name: sent[name] for name, _ in guarantees if name in sent}
        if not any(name in limits and holds(limits[name], needed[bound]) for name, holds in guarantees):
            published = ", ".join(f"{name} {limit}" for name, limit in limits.items()) or f"no {bound}"
            yield Problem(path, f"has {published}", f"takes {bound} {needed[bound]}")


def _fields(sent: Schema, needed: Schema, path: str) -> Iterator[Problem]:
    sent_fields, needed_fields = sent.get("properties", {}), needed.get("properties", {})
    for name, part in needed_fields.items():
        inner = f"{path}.{name}" if path else name
        required = name in needed.get("required", ())
        if name not in sent_fields:
            if required:
                yield Problem(inner, "is missing", "requires it")
            continue
        if required and name not in sent.get("required", ()):
            yield Problem(inner, "is not always there", "requires it")
        yield from unreadable(sent_fields[name], part, inner)
    if needed.get(_CLOSED, True) is not True:
        for name in sent_fields:
            if name not in needed_fields:
                yield Problem(f"{path}.{name}" if path else name, "is published", "refuses unknown fields")
