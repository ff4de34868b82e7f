"""The Python sources of a checkout: read once, parsed once, each in the group product, tools or tests."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("chassis", "userfc", "productfc", "orderfc", "paymentfc", "console")
GROUPS = ("product", "tools", "tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef

# chassis/pb, generated from the protos.
GENERATED = "pb"
_LEFT_OUT = frozenset({"__pycache__", "build", "node_modules"})


@dataclass(frozen=True)
class Source:
    """One file; `path` is relative to the checkout."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, str(self.path))

    @property
    def group(self) -> str:
        """Product (what is deployed), tools, tests or generated."""
        if GENERATED in self.path.parts:
            return "generated"
        if "tests" in self.path.parts or self.path.name == "conftest.py":
            return "tests"
        return "product" if self.path.parts[0] in PRODUCT else "tools"

    @property
    def module(self) -> str:
        """The dotted name by which the file is imported: its path without the folder that is on the import path."""
        parts = self.path.with_suffix("").parts
        if parts[0] in (*PRODUCT, "scripts"):
            parts = parts[1:]
        return ".".join(parts[:-1] if parts[-1:] == ("__init__",) else parts)

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """The comments, each with its line."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]

    @property
    def lines(self) -> int:
        """The number of lines."""
        return len(self.text.splitlines())


def read(root: Path) -> list[Source]:
    """Read all Python files of a checkout, those in hidden folders left out."""
    return [Source(path, (root / path).read_text("utf-8")) for path in sorted(_paths(root, root))]


def _paths(root: Path, folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith(".") or entry.name in _LEFT_OUT or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _paths(root, entry)
        elif entry.suffix == ".py":
            yield entry.relative_to(root)


def functions(tree: ast.AST) -> list[Function]:
    """Return all functions and methods, nested ones included."""
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def imports(tree: ast.AST) -> Iterator[str]:
    """Return the dotted names that a module imports anywhere, also under TYPE_CHECKING and inside functions.

    `from a import b` gives `a.b`, whether b is a module or a name. Relative imports are left out: only
    tests and generated code have them.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
