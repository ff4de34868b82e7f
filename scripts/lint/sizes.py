"""Keeps files and functions short, and the classes of product code.

What has to be longer is named in sizes.toml with its reason. An entry that is no longer needed fails as well.
"""

import ast
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lint.sources import Function, Source

LIMITS = {"file": 250, "function": 40, "class": 120}
EXCEPTIONS = Path(__file__).with_name("sizes.toml")


@dataclass(frozen=True)
class Size:
    """The lines of a file, function or class; `name` is its path, with `::outer.inner` for what is inside a file."""

    kind: str
    name: str
    lines: int

    @property
    def is_over(self) -> bool:
        """Whether it is longer than the limit of its kind."""
        return self.lines > LIMITS[self.kind]


def sizes(source: Source) -> Iterator[Size]:
    """Measure a file and all that it defines; decorators do not count."""
    yield Size("file", str(source.path), source.lines)
    yield from _definitions(source.tree, f"{source.path}::")


def _definitions(parent: ast.AST, prefix: str) -> Iterator[Size]:
    for node in _statements(parent):
        if not isinstance(node, Function | ast.ClassDef):
            yield from _definitions(node, prefix)
            continue
        name = f"{prefix}{node.name}"
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        yield Size("class" if isinstance(node, ast.ClassDef) else "function", name, lines)
        yield from _definitions(node, f"{name}.")


def _statements(parent: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements directly inside another, or what holds them: no expression defines anything."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        inside = getattr(parent, field, ())
        # The body of a lambda or of a conditional expression is one expression.
        if isinstance(inside, list):
            yield from inside


def problems(sources: Iterable[Source], exceptions: Mapping[str, str]) -> list[str]:
    """Return a line for whatever is too long and not excepted, and for exceptions without need or reason."""
    too_long = [
        size
        for source in sources
        for size in sizes(source)
        if size.is_over and (size.kind != "class" or source.group == "product")
    ]
    unused = exceptions.keys() - {size.name for size in too_long}
    return [
        *(
            f"{size.name}: a {size.kind} of {size.lines} lines, the limit is {LIMITS[size.kind]}"
            for size in too_long
            if size.name not in exceptions
        ),
        *(f"{name}: needs no exception in sizes.toml any more" for name in sorted(unused)),
        *(f"{name}: the exception in sizes.toml gives no reason" for name in exceptions if not exceptions[name]),
    ]


def exceptions() -> dict[str, str]:
    """Read the reasons by the name of what is excepted."""
    return tomllib.loads(EXCEPTIONS.read_text("utf-8"))
