"""Completes FastAPI's OpenAPI document: every error, whole examples, exact bounds."""

from collections.abc import Callable, Iterator
from typing import Any

Part = dict[str, Any]

JSON = "application/json"
MAX_INT64 = 2**63 - 1
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")


class _NoExample(LookupError):
    """A part of a schema has no example, and none can be composed."""


def complete(document: Part, describe: Callable[[int], Part]) -> None:
    """Complete a document. `describe(status)` returns the response object of a refusal."""
    schemas: Part = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _OF_FASTAPI:
        schemas.pop(name, None)
    _write_bounds_as_integers(document)
    for operation in operations(document):
        _forbid_null(operation)
        _add_refusals(operation, describe)
        _add_examples(operation, schemas)


def operations(document: Part) -> Iterator[Part]:
    for path in document.get("paths", {}).values():
        yield from path.values()


def _forbid_null(operation: Part) -> None:
    """Remove null from optional parameters: a value in an address or a header is never null."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        variants = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
        if len(variants) == 1:
            del schema["anyOf"]
            parameter["schema"] = {**variants[0], **schema}


def _add_refusals(operation: Part, describe: Callable[[int], Part]) -> None:
    """Add the refusals that follow from an operation's shape, and drop FastAPI's 422, which is never sent."""
    responses = operation["responses"]
    schema = responses.get("422", {}).get("content", {}).get(JSON, {}).get("schema", {})
    if schema.get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]
    expected = [400] if "parameters" in operation or "requestBody" in operation else []
    expected += [413, 415] if "requestBody" in operation else []
    expected += [401] if "security" in operation else []
    for status in expected:
        responses.setdefault(str(status), describe(status))
    responses.setdefault("default", {**describe(500), "description": "Refused or failed"})
    operation["responses"] = dict(sorted(responses.items()))


def _add_examples(operation: Part, schemas: Part) -> None:
    successes = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    for described in (operation.get("requestBody", {}), *successes):
        content = described.get("content", {}).get(JSON)
        if content is None or "example" in content or "examples" in content:
            continue
        try:
            content["example"] = example(content.get("schema", {}), schemas)
        except _NoExample:
            continue


def example(schema: Part, schemas: Part) -> Any:
    """Compose an example from those of the parts. Raises LookupError when a required part has none."""
    if listed := schema.get("examples") or schema.get("enum"):
        return listed[0]
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if fixed := [schema[name] for name in ("const", "default") if name in schema]:
        return fixed[0]
    if "properties" in schema:
        return _object(schema, schemas)
    if "items" in schema:
        return [example(schema["items"], schemas)]
    if variants := [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]:
        return example(variants[0], schemas)
    raise _NoExample(schema.get("title", "a schema"))


def _object(schema: Part, schemas: Part) -> Part:
    composed = {}
    for name, part in schema["properties"].items():
        try:
            composed[name] = example(part, schemas)
        except _NoExample:
            if name in schema.get("required", ()):
                raise
    if not composed:
        raise _NoExample(schema.get("title", "an object"))
    return composed


def _write_bounds_as_integers(part: Any) -> None:
    """Write whole bounds as integers: FastAPI holds them as floats, which can't represent the greatest int64."""
    if isinstance(part, list):
        for inner in part:
            _write_bounds_as_integers(inner)
    elif isinstance(part, dict):
        for name in _BOUNDS:
            if isinstance(part.get(name), float) and part[name].is_integer():
                part[name] = min(int(part[name]), MAX_INT64)
        for inner in part.values():
            _write_bounds_as_integers(inner)
