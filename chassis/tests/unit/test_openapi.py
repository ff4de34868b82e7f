"""Examples are composed from those of the parts, and bounds are written as they are."""

from typing import Any

import pytest

from chassis.http.openapi import complete, example

SCHEMAS: dict[str, Any] = {
    "Line": {
        "properties": {"id": {"type": "integer", "examples": [7]}, "note": {"type": "string"}},
        "required": ["id"],
    },
    "Status": {"enum": ["PENDING", "PAID"]},
}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "examples": ["a", "b"]}, "a"),
        ({"examples": [None]}, None),
        ({"$ref": "#/components/schemas/Status"}, "PENDING"),
        ({"$ref": "#/components/schemas/Status", "examples": ["PAID"]}, "PAID"),
        ({"const": "pong"}, "pong"),
        ({"type": "string", "default": ""}, ""),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Line"}}, [{"id": 7}]),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Line"}]}, {"id": 7}),
    ],
)
def test_an_example_is_composed_of_what_the_parts_say(schema: dict[str, Any], expected: Any) -> None:
    assert example(schema, SCHEMAS) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"properties": {"id": {"type": "integer"}}, "required": ["id"]},
        {"properties": {"id": {"type": "integer"}}},
        {"type": "array", "items": {}},
    ],
)
def test_a_part_that_must_be_there_and_says_nothing_leaves_no_example(schema: dict[str, Any]) -> None:
    with pytest.raises(LookupError):
        example(schema, SCHEMAS)


def document(schema: dict[str, Any]) -> dict[str, Any]:
    """Make a document with one route that takes and gives this schema."""
    content = {"application/json": {"schema": schema}}
    operation = {"requestBody": {"content": content}, "responses": {"200": {"content": dict(content)}}}
    return {"paths": {"/things": {"post": operation}}, "components": {"schemas": SCHEMAS | {"ValidationError": {}}}}


def test_a_route_without_a_whole_example_has_none() -> None:
    made = document({"type": "object"})
    complete(made, lambda status: {"description": str(status)})
    assert made["paths"]["/things"]["post"]["requestBody"]["content"]["application/json"] == {
        "schema": {"type": "object"}
    }


def test_a_parameter_is_never_null() -> None:
    made = document({})
    optional = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "title": "Limit"}
    either = {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}
    parameters = [{"name": "limit", "schema": optional}, {"name": "either", "schema": either}]
    made["paths"]["/things"]["post"]["parameters"] = parameters
    complete(made, lambda status: {"description": str(status)})
    assert parameters[0]["schema"] == {"type": "integer", "minimum": 1, "title": "Limit"}
    assert parameters[1]["schema"] == either


def test_whole_bounds_are_integers_and_the_greatest_int64_is_one() -> None:
    made = document({"minimum": 1.0, "maximum": 9.223372036854776e18, "exclusiveMinimum": 0.5})
    complete(made, lambda status: {"description": str(status)})
    schema = made["paths"]["/things"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert repr(schema) == "{'minimum': 1, 'maximum': 9223372036854775807, 'exclusiveMinimum': 0.5}"
    assert "ValidationError" not in made["components"]["schemas"]
