"""Checks the value of a record against the contract of its topic."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs

# The most problems of one value that are named.
MAX_PROBLEMS = 5
MAX_PROBLEM = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kind` is that of a badge: good, bad, or off where no contract names the topic."""

    kind: str
    text: str
    problems: tuple[str, ...] = ()


class Contract:
    """The JSON schemas of the topics, by topic."""

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        self._validators = {topic: jsonschema_rs.validator_for(dict(schema)) for topic, schema in schemas.items()}

    def verdict(self, topic: str, value: bytes | None) -> Verdict:
        """Compare a value with the schema of the topic whose message it is."""
        validator = self._validators.get(topic)
        if validator is None:
            return Verdict("off", "no schema")
        if value is None:
            return Verdict("bad", "no value")
        try:
            content = json.loads(value)
            found = [_problem(error) for error in islice(validator.iter_errors(content), MAX_PROBLEMS)]
        except (ValueError, RecursionError) as error:
            return Verdict("bad", "not JSON", (str(error)[:MAX_PROBLEM],))
        return Verdict("bad", "not as its schema", tuple(found)) if found else Verdict("good", "as its schema")


def _problem(error: Any) -> str:
    place = ".".join(map(str, error.instance_path)) or "value"
    return f"{place}: {error.message}".encode("utf-8", "backslashreplace").decode()[:MAX_PROBLEM]
