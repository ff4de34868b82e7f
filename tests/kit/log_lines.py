"""Every line of a stack's logs against docs/logs.schema.json."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from fc.ops import log_files
from fc.stack.layout import DEPLOYED, ROOT, SIMULATOR, Layout

SCHEMA = ROOT / "docs" / "logs.schema.json"
# More of them say nothing new.
SHOWN = 5
SHOWN_BYTES = 400
KINDS = {str: "string", int: "number", float: "number", bool: "boolean", list: "list"}
# What `python -m orderfc` says when it refuses to start; what gRPC's library in C writes past every logger.
_PLAIN = re.compile(
    rb"(%s): [^{]+|[IWEF][0-9]{4} [0-9:.]+ +[0-9]+ \S+\.cc:[0-9]+\] .*|WARNING: All log messages before absl.*"
    % b"|".join(name.encode() for name in DEPLOYED)
)


def schema() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return content


@cache
def _validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema())


def fault(line: bytes) -> str | None:
    """Return what is wrong with a line, or None for a right one."""
    try:
        content = json.loads(line)
    except ValueError as error:
        return None if _PLAIN.fullmatch(line) else f"no JSON ({error})"
    if _validator().is_valid(content):
        return None
    wrong = _validator().iter_errors(content)
    return "; ".join(f"{'/'.join(map(str, error.instance_path)) or 'line'}: {error.message}" for error in wrong)


def faults(logs: Iterable[Path]) -> Iterator[str]:
    """Yield the file, the line and the fault of each bad line, also of one whose field has another type elsewhere."""
    kinds: dict[str, str] = {}
    for path in logs:
        for number, line in enumerate(log_files.lines(path), 1):
            if found := _fault_of(line, kinds):
                yield f"{path.name} line {number}: {found}: {line[:SHOWN_BYTES].decode('utf-8', 'replace')}"


def _fault_of(line: bytes, kinds: dict[str, str]) -> str | None:
    found = fault(line)
    if found:
        # A process that is killed while it writes leaves the beginning of a line, and the next one goes on there.
        line = line[max(line.rfind(b'{"'), 0) :]
        return fault(line) and found
    if line.startswith(b"{"):
        for name, value in json.loads(line).items():
            if (kind := KINDS.get(type(value))) and kinds.setdefault(name, kind) != kind:
                return f"{name} is a {kind} here and a {kinds[name]} elsewhere"
    return None


def of_stack(layout: Layout) -> list[Path]:
    """Return the logs of a stack's services, console and simulator, and those of processes that tests have started."""
    return [
        *(path for name in (*DEPLOYED, SIMULATOR) if (path := layout.log(name)).exists()),
        *sorted(layout.log(SIMULATOR).parent.glob("*-by-test.log")),
    ]


def refuse(bad: list[str]) -> None:
    """Raise AssertionError that names the first bad lines."""
    assert not bad, f"{len(bad)} lines are not as docs/logs.schema.json says:\n" + "\n".join(bad[:SHOWN])
