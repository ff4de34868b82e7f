"""Finds functions that only pass their own arguments on: a layer that decides nothing should be skipped, not filled.

`python scripts/lint/pass_through.py PATH...` prints one line for each and exits with 1 when there are any.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _own_arguments(function: Function) -> list[str]:
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _only_call(function: Function) -> ast.Call | None:
    """Give the one call that a function's body consists of, apart from its docstring."""
    body = function.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Expr):
        return None
    value = body[0].value
    if isinstance(value, ast.Await):
        value = value.value
    return value if isinstance(value, ast.Call) else None


def _passed_on(call: ast.Call) -> list[str] | None:
    """Give the names that a call passes on as they are; None when it passes anything else."""
    names = []
    for value in (*call.args, *(keyword.value for keyword in call.keywords)):
        if not isinstance(value, ast.Name):
            return None
        names.append(value.id)
    renamed = any(
        keyword.arg is None or not isinstance(keyword.value, ast.Name) or keyword.arg != keyword.value.id
        for keyword in call.keywords
    )
    return None if renamed else names


def _is_type(call: ast.Call) -> bool:
    """Tell whether the call makes an object: a factory that fixes a class is a decision."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name.lstrip("_")[:1].isupper()


def _is_plain(target: ast.expr) -> bool:
    """Tell whether a call's target is a dotted name: one that is chosen or made on the spot is a decision."""
    while isinstance(target, ast.Attribute):
        target = target.value
    return isinstance(target, ast.Name)


def pass_through(tree: ast.AST) -> Iterator[Function]:
    """Find the functions whose body is one call with exactly their own arguments, at least one of them."""
    for node in ast.walk(tree):
        if not isinstance(node, Function) or node.decorator_list or node.name.startswith("__"):
            continue
        call = _only_call(node)
        own = _own_arguments(node)
        if call is None or not own or node.args.vararg or node.args.kwarg or _is_type(call) or not _is_plain(call.func):
            continue
        if _passed_on(call) == own and not (isinstance(call.func, ast.Name) and call.func.id in own):
            yield node


def main(paths: list[str]) -> int:
    """Print the findings below the paths and give the exit code."""
    count = 0
    for path in sorted(file for root in paths for file in Path(root).rglob("*.py")):
        for function in pass_through(ast.parse(path.read_text(encoding="utf-8"))):
            count += 1
            print(f"{path}:{function.lineno}: {function.name} only passes its arguments on: call its target instead")  # noqa: T201
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
