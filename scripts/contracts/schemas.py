"""JSON Schemas (draft 7, without references) of what is published, and of what each reader needs."""

from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import DataclassField, ModelField, TypedDictField
from typing_extensions import override

from contracts.facts import facts_of
from contracts.topics import Reader, Topic

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
_LEFT_OUT = frozenset({"$defs", "title", "default"})
_FIRST = ("$schema", "title", "type", "description")


class _WholeModel(GenerateJsonSchema):
    """Events are published whole: a default makes a field no less present."""

    @override
    def field_is_required(self, field: ModelField | DataclassField | TypedDictField, total: bool) -> bool:
        return field.get("serialization_exclude_if") is None


def published(topic: Topic) -> Schema:
    """Make the schema of the values on a topic, as they are in Kafka: what the producer's SQL adds included."""
    model = topic.payload.model_json_schema(mode="serialization", schema_generator=_WholeModel)
    plain = _plain(model, model.get("$defs", {}))
    for name in reversed(topic.added):
        plain["properties"] = {name: {"type": "integer"}, **plain["properties"]}
        plain["required"] = [name, *plain["required"]]
    facts = facts_of(topic.name)
    for path, part in fields(plain):
        part.update(facts.get(path, {}))
    return _in_order({"$schema": DRAFT, "title": topic.name, **plain, "description": topic.meaning})


def needed(reader: Reader) -> Schema:
    """Make the schema of the values that a reader accepts."""
    model = reader.payload.model_json_schema(mode="validation")
    plain = _plain(model, model.get("$defs", {}))
    for name, values in reader.takes.items():
        plain["properties"][name]["enum"] = sorted(values)
    return plain


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Walk over all fields: (`products[].quantity`, its schema)."""
    for variant in schema.get("anyOf", [schema]):
        for name, part in variant.get("properties", {}).items():
            inner = f"{path}.{name}" if path else name
            yield inner, part
            yield from fields(part, inner)
        if "items" in variant:
            yield from fields(variant["items"], f"{path}[]")


def _plain(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Put definitions in the place of references, and leave out what says nothing about the wire."""
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **schema}
        del schema["$ref"]
    plain = {keyword: value for keyword, value in schema.items() if keyword not in _LEFT_OUT}
    if "properties" in plain:
        plain["properties"] = {name: _plain(part, definitions) for name, part in plain["properties"].items()}
    if "items" in plain:
        plain["items"] = _plain(plain["items"], definitions)
    if "anyOf" in plain:
        plain["anyOf"] = [_plain(part, definitions) for part in plain["anyOf"]]
        # Money is written as a whole number where it is one: together that is JSON's number.
        if plain["anyOf"] == [{"type": "integer"}, {"type": "number"}]:
            plain["type"] = "number"
            del plain["anyOf"]
    return plain


def _in_order(schema: Schema) -> Schema:
    """Put the keywords that say what a thing is before those that say what is in it."""
    ordered = {keyword: schema[keyword] for keyword in (*_FIRST, *schema) if keyword in schema}
    if "properties" in ordered:
        ordered["properties"] = {name: _in_order(part) for name, part in ordered["properties"].items()}
    if "items" in ordered:
        ordered["items"] = _in_order(ordered["items"])
    return ordered
