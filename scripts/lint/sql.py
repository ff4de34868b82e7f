"""Holds SQL to its place: text, driver and SQLAlchemy occur only in repositories, migrations and chassis/db."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lint.sources import Source, imports

_PLACES = frozenset({"repository", "migrations"})
_CHASSIS = Path("chassis/chassis/db")
# These name what the driver raises, and run no statement.
_ERRORS = frozenset({Path("chassis/chassis/errors.py")})
_LIBRARIES = frozenset({"asyncpg", "sqlalchemy", "alembic"})
_DRIVER = frozenset({"driver", "connection"})
_STATEMENTS = frozenset({"execute", "executemany", "fetch", "fetchrow", "fetchval"})
_SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+[\w.]+\s+(\w+\s+)?SET\s|DELETE\s+FROM\s|WITH\s+(RECURSIVE\s+)?\w+.*\sAS\s"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|INDEX)\s|SET\s+LOCAL\s|LOCK\s+TABLE\s|TRUNCATE\s)",
    re.DOTALL,
)


def problems(sources: Iterable[Source]) -> list[str]:
    """Return a line for each use of SQL in product code outside its place."""
    return [
        f"{source.path}:{line}: {problem}; SQL belongs into a repository"
        for source in sources
        if source.group == "product" and not _is_place(source.path)
        for line, problem in sorted(_uses(source))
    ]


def _is_place(path: Path) -> bool:
    return not _PLACES.isdisjoint(path.parts) or path.is_relative_to(_CHASSIS)


def _uses(source: Source) -> Iterator[tuple[int, str]]:
    if source.path not in _ERRORS:
        for name in sorted({name.split(".")[0] for name in imports(source.tree)} & _LIBRARIES):
            yield 1, f"it imports {name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = node.func.attr
            # A pipeline of Redis is executed without an argument.
            if called in _DRIVER or (called in _STATEMENTS and (node.args or node.keywords)):
                yield node.lineno, f"it calls .{called}()"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.match(node.value):
            yield node.lineno, f"it contains SQL text ({node.value.split()[0]} ...)"
