"""Finds comments that switch a tool off: `fmt: skip` and `fmt: off` anywhere, `noqa` without the code of a rule."""

import re
from collections.abc import Iterable

from lint.sources import Source

_REFUSED = (
    (re.compile(r"#\s*fmt:\s*(skip|off)"), "the formatter decides: name a part of a long call or make it a dataclass"),
    (re.compile(r"#\s*noqa(?!\s*:\s*[A-Z]+[0-9]+)", re.IGNORECASE), "noqa names the rule that it switches off"),
    (re.compile(r"#\s*type:\s*ignore(?!\[)"), "type: ignore names the error that it ignores"),
)


def problems(sources: Iterable[Source]) -> list[str]:
    """Return a line for each refused comment; generated code is left out."""
    # To find the comments of a file takes long: first whether any text of it would be refused.
    return [
        f"{source.path}:{line}: {problem}"
        for source in sources
        if source.group != "generated" and any(pattern.search(source.text) for pattern, _ in _REFUSED)
        for line, comment in source.comments
        for pattern, problem in _REFUSED
        if pattern.search(comment)
    ]
