"""Counts duplicated blocks: runs of at least WINDOW equal lines of code that occur more than once.

The lines are those of `ast.unparse`, one a statement, so that neither comments nor the formatting count. Docstrings,
imports and indentation are left out. Each copy counts, so a block that occurs twice counts two. A block that product
code shares with tests alone does not count: each group is measured by itself.
"""

import ast
from collections import Counter
from collections.abc import Iterable

from lint.sources import Source

WINDOW = 4


def lines(source: Source) -> list[str]:
    """Return a file's lines of code in their plainest form."""
    tree = ast.parse(source.text)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [statement for statement in body if not _is_left_out(statement)]
    return [line.strip() for line in ast.unparse(tree).splitlines() if line.strip()]


def _is_left_out(statement: ast.stmt) -> bool:
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or isinstance(statement, ast.Import | ast.ImportFrom)


def blocks(sources: Iterable[Source]) -> int:
    """Count the copies: successive windows that all occur elsewhere too make one."""
    files = [lines(source) for source in sources]
    windows = [[tuple(file[at : at + WINDOW]) for at in range(len(file) - WINDOW + 1)] for file in files]
    counts = Counter(window for file in windows for window in file)
    copies = 0
    for file in windows:
        repeated = [counts[window] > 1 for window in file]
        copies += sum(now and not before for before, now in zip([False, *repeated], repeated, strict=False))
    return copies
