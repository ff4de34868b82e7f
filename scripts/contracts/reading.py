"""Decides whether a reader can read all that a producer publishes, field by field, from their JSON Schemas."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any

from contracts.schemas import Schema

# A keyword of a reader's schema that is not among these is a problem: what isn't understood can't be vouched for.
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
    """Why a field can't be read: `published` tells what is sent, `reads` what the reader does with it."""

    path: str
    published: str
    reads: str


def kind(schema: Schema) -> str:
    """Name the type of a schema: `integer`, `string (date-time)`, `number or null`, `anything`."""
    if "anyOf" in schema:
        return " or ".join(kind(variant) for variant in schema["anyOf"])
    name = schema.get("type", "anything")
    return f"{name} ({schema['format']})" if "format" in schema else str(name)


def values(schema: Schema) -> list[Any] | None:
    """Give the only values that a schema allows, None when it lists none."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def listed(of: list[Any]) -> str:
    """Write values as text: `EXPIRED, FAILED`."""
    return ", ".join(sorted(str(value) for value in of))


def unreadable(sent: Schema, wanted: Schema, path: str = "") -> Iterator[Problem]:
    """Find the fields of `sent` that a reader of `wanted` could not read; `path` is where both are."""
    for variant in sent.get("anyOf", [sent]):
        fitting = [part for part in wanted.get("anyOf", [wanted]) if _same_type(variant, part)]
        if fitting:
            yield from min((list(_unreadable(variant, part, path)) for part in fitting), key=len)
        else:
            yield Problem(path, f"may be {kind(variant)}", f"reads {kind(wanted)}")


def _same_type(sent: Schema, wanted: Schema) -> bool:
    if "type" not in wanted:
        return True
    return sent.get("type") == wanted["type"] or (sent.get("type"), wanted["type"]) == ("integer", "number")


def _unreadable(sent: Schema, wanted: Schema, path: str) -> Iterator[Problem]:
    if unknown := set(wanted) - _SAYS_NOTHING - _UNDERSTOOD - set(_BOUNDS) - {_CLOSED}:
        yield Problem(path, "can't be judged", f"declares {listed(list(unknown))}")
    yield from _values(sent, wanted, path)
    yield from _bounds(sent, wanted, path)
    yield from _fields(sent, wanted, path)
    if "items" in wanted:
        yield from unreadable(sent.get("items", {}), wanted["items"], f"{path}[]")


def _values(sent: Schema, wanted: Schema, path: str) -> Iterator[Problem]:
    for keyword in ("format", "pattern"):
        if keyword in wanted and sent.get(keyword) != wanted[keyword]:
            yield Problem(path, f"has {keyword} {sent.get(keyword, 'free')}", f"reads {wanted[keyword]}")
    accepted, possible = values(wanted), values(sent)
    if accepted is None:
        return
    takes = f"takes only {listed(accepted)}"
    if possible is None:
        yield Problem(path, f"may be any {kind(sent)}", takes)
    elif others := [value for value in possible if value not in accepted]:
        yield Problem(path, f"may be {listed(others)}", takes)


def _bounds(sent: Schema, wanted: Schema, path: str) -> Iterator[Problem]:
    for bound, guarantees in _BOUNDS.items():
        if bound not in wanted:
            continue
        given = {name: sent[name] for name, _ in guarantees if name in sent}
        if not any(name in given and holds(given[name], wanted[bound]) for name, holds in guarantees):
            said = ", ".join(f"{name} {limit}" for name, limit in given.items()) or f"no {bound}"
            yield Problem(path, f"has {said}", f"takes {bound} {wanted[bound]}")


def _fields(sent: Schema, wanted: Schema, path: str) -> Iterator[Problem]:
    there, asked = sent.get("properties", {}), wanted.get("properties", {})
    for name, part in asked.items():
        inner = f"{path}.{name}" if path else name
        needs = name in wanted.get("required", ())
        if name not in there:
            if needs:
                yield Problem(inner, "is missing", "requires it")
            continue
        if needs and name not in sent.get("required", ()):
            yield Problem(inner, "is not always there", "requires it")
        yield from unreadable(there[name], part, inner)
    if wanted.get(_CLOSED, True) is not True:
        for name in there:
            if name not in asked:
                yield Problem(
                    f"{path}.{name}" if path else name, "is published", "refuses fields that it does not know"
                )
