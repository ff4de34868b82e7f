"""Turns pydantic's validation errors into one sentence that names the field and what is allowed."""

from collections.abc import Mapping, Sequence
from typing import Any

_SOURCES = {"body", "query", "path", "header", "cookie"}

# pydantic names types of Python; the sender knows those of JSON.
_REASONS = {
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_parsing_size": "should be a whole number of at most 4300 digits",
    "int_from_float": "should be a whole number",
    "decimal_type": "should be a number",
    "decimal_parsing": "should be a number",
    "decimal_max_digits": "should have at most {max_digits} digits",
    "decimal_max_places": "should have at most {decimal_places} decimal places",
    "decimal_whole_digits": "should have at most {whole_digits} digits before the decimal point",
    "string_type": "should be a string",
    "string_unicode": "should be a string of Unicode characters",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "list_type": "should be an array",
    "dict_type": "should be an object",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
}


def sentence(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence about the first error: `quantity: should be less than or equal to 1000`."""
    if not errors:
        return "The request is malformed"
    error = errors[0]
    kind, context = error.get("type", ""), error.get("ctx") or {}
    if kind == "json_invalid":
        return f"The body is not valid JSON: {context.get('error', 'it can not be read')}"
    field = _field(error.get("loc", ()))
    if kind == "missing":
        return f"{field}: is required" if field else "A body is required"
    if kind == "extra_forbidden":
        return f"{field}: is not known here"
    if kind in ("model_attributes_type", "model_type") and not field:
        return "The body should be a JSON object"
    text = _reason(error, context)
    # A validator's own sentence, such as "Password must be ...", already names its field.
    if kind in ("value_error", "assertion_error") and text[:1].isupper():
        return text
    return f"{field}: {text}" if field else text


def _reason(error: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    kind = error.get("type", "")
    if kind in _REASONS:
        return _REASONS[kind].format(**context)
    if kind in ("too_long", "too_short", "string_too_long", "string_too_short"):
        bound = "at most" if kind.endswith("long") else "at least"
        count = context["max_length" if kind.endswith("long") else "min_length"]
        unit = "character" if isinstance(error.get("input"), str) else "item"
        return f"should have {bound} {count} {unit}{'' if count == 1 else 's'}"
    text = str(context["error"]) if isinstance(context.get("error"), Exception) else str(error.get("msg", "is wrong"))
    return text.removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ").split(", unable")[0]


def _field(location: Sequence[str | int]) -> str:
    parts = list(location)
    if parts and parts[0] in _SOURCES:
        parts = parts[1:]
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name
