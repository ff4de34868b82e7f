"""Finds functions that only pass their own arguments on: a layer that decides nothing is skipped, not filled."""

import ast
from collections.abc import Iterable, Iterator

from lint.sources import Function, Source, functions


def problems(sources: Iterable[Source]) -> list[str]:
    """Return a line for each pass-through function outside the tests."""
    return [
        f"{source.path}:{function.lineno}: {function.name} only passes its arguments on: call its target instead"
        for source in sources
        if source.group != "tests"
        for function in pass_through(source.tree)
    ]


def pass_through(tree: ast.AST) -> Iterator[Function]:
    """Find the functions whose body is one call with exactly their own arguments, at least one of them."""
    for node in functions(tree):
        if node.decorator_list or node.name.startswith("__"):
            continue
        call = _only_call(node)
        own = _own_arguments(node)
        if call is None or not own or node.args.vararg or node.args.kwarg or _is_type(call) or not _is_plain(call.func):
            continue
        if _passed_on(call) == own and not (isinstance(call.func, ast.Name) and call.func.id in own):
            yield node


def _own_arguments(function: Function) -> list[str]:
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _only_call(function: Function) -> ast.Call | None:
    """Return the one call that a function's body consists of, apart from its docstring."""
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
    """Return the names that a call passes on under the same names, or None if it passes anything else."""
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
    """Whether the call makes an object: a factory that fixes a class is a decision."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name.lstrip("_")[:1].isupper()


def _is_plain(target: ast.expr) -> bool:
    """Whether a call's target is a dotted name: one that is chosen or made on the spot is a decision."""
    while isinstance(target, ast.Attribute):
        target = target.value
    return isinstance(target, ast.Name)
