"""What the OpenAPI document says beyond what FastAPI finds out: every error, a whole example, bounds as they are."""

from collections.abc import Callable, Iterator
from typing import Any

Part = dict[str, Any]

JSON = "application/json"
MAX_INT64 = 2**63 - 1
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")


class _NoExample(LookupError):
    """A part of a schema says nothing about what it looks like."""


def complete(document: Part, describe: Callable[[int], Part]) -> None:
    """Complete a document of FastAPI's; `describe(status)` gives the response object of a refusal with that status."""
    schemas: Part = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _OF_FASTAPI:
        schemas.pop(name, None)
    _mend_bounds(document)
    for operation in operations(document):
        _forbid_null(operation)
        _add_refusals(operation, describe)
        _add_examples(operation, schemas)


def operations(document: Part) -> Iterator[Part]:
    """Walk over the operations of all paths."""
    for path in document.get("paths", {}).values():
        yield from path.values()


def _forbid_null(operation: Part) -> None:
    """Describe optional parameters as what they are when they are there: no text in an address or a header is null."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        variants = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
        if len(variants) == 1:
            del schema["anyOf"]
            parameter["schema"] = {**variants[0], **schema}


def _add_refusals(operation: Part, describe: Callable[[int], Part]) -> None:
    """Name the refusals that an operation can't help: FastAPI's own 422 never leaves these applications."""
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
    """Compose an example from those of the parts. Raises LookupError when a part that must be there has none."""
    for said in ("examples", "enum"):
        if schema.get(said):
            return schema[said][0]
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for said in ("const", "default"):
        if said in schema:
            return schema[said]
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


def _mend_bounds(part: Any) -> None:
    """Write whole bounds as integers: FastAPI's model holds them as floats, and the greatest int64 is none."""
    if isinstance(part, list):
        for inner in part:
            _mend_bounds(inner)
    elif isinstance(part, dict):
        for name in _BOUNDS:
            if isinstance(part.get(name), float) and part[name].is_integer():
                part[name] = min(int(part[name]), MAX_INT64)
        for inner in part.values():
            _mend_bounds(inner)
