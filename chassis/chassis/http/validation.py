"""Turns pydantic's validation errors into one sentence that names the field and what is allowed."""

from collections.abc import Mapping, Sequence
from typing import Any

_SOURCES = {"body", "query", "path", "header", "cookie"}


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
    text = str(context["error"]) if isinstance(context.get("error"), Exception) else str(error.get("msg", "is wrong"))
    text = text.removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ").split(", unable")[0]
    # A validator's own sentence, such as "Password must be ...", already names its field.
    if kind in ("value_error", "assertion_error") and text[:1].isupper():
        return text
    return f"{field}: {text}" if field else text


def _field(location: Sequence[str | int]) -> str:
    parts = list(location)
    if parts and parts[0] in _SOURCES:
        parts = parts[1:]
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name
