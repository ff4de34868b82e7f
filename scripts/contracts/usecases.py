"""Reads from the source code which use-case publishes on a topic, and which use-case a topic's handler calls.

Only references are followed, not calls: a use-case publishes on a topic if it refers, directly or through services and
repositories, to code that names the topic. What a use-case reaches through another use-case belongs to that one.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from contracts.topics import PRODUCERS
from lint.sources import Source


@dataclass(frozen=True)
class Consumer:
    """The use-case that a service's handler of a topic calls; `causes` are the members of orderfc's Cause it names."""

    service: str
    usecase: str
    causes: frozenset[str]


class Code:
    """The top-level definitions of all services and the dotted names that each refers to."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._nodes: dict[str, ast.stmt] = {}
        self._names: dict[str, Mapping[str, str]] = {}
        for source in sources:
            own = {name: (f"{source.module}.{name}", node) for node in source.tree.body for name in _defined(node)}
            self._nodes |= dict(own.values())
            self._names[source.module] = {**_imported(source.tree), **{name: full for name, (full, _) in own.items()}}
        self._refers = {name: self._references(_module(name), node) for name, node in self._nodes.items()}

    def usecases(self, service: str) -> list[str]:
        """Return the names of a service's modules with use-cases."""
        prefix = f"{service}.usecase."
        return sorted(module.removeprefix(prefix) for module in self._names if module.startswith(prefix))

    def publishes(self, service: str, usecase: str) -> set[str]:
        """Return the topics of a service to which a use-case refers."""
        module = f"{service}.usecase.{usecase}"
        reached = self._reach(self._definitions(module), module)
        topics = {topic for name, topic in self._topics(service).items() if name in reached}
        return {topic for topic in topics if PRODUCERS.get(topic) == service}

    def consumers(self, service: str) -> dict[str, Consumer]:
        """Return the consumer of each topic in the table of a service's Kafka handlers."""
        module = f"{service}.handler.kafka"
        table = self._nodes.get(f"{module}.handlers")
        topics = self._topics(service)
        return {
            topics[key]: self._consumer(service, topics[key], value)
            for key, value in (self._entries(module, table) if table else ())
            if key in topics
        }

    def _consumer(self, service: str, topic: str, value: ast.expr) -> Consumer:
        prefix = f"{service}.usecase."
        reached = self._reach(self._references(f"{service}.handler.kafka", value))
        modules = {name.removeprefix(prefix).split(".")[0] for name in reached if name.startswith(prefix)}
        usecase = " ".join(sorted(modules))
        return Consumer(service, usecase, frozenset(self._causes(service, usecase, topic)))

    def _causes(self, service: str, usecase: str, topic: str) -> Iterator[str]:
        """Find the members of Cause that a use-case names: for the topic in a table, where it has one."""
        module, prefix = f"{service}.usecase.{usecase}", f"{service}.model.Cause."
        topics = self._topics(service)
        definitions = [self._nodes[name] for name in self._definitions(module)]
        entries = [entry for node in definitions for entry in self._entries(module, node)]
        own = [value for key, value in entries if topics.get(key) == topic]
        for node in own or definitions:
            yield from (name.removeprefix(prefix) for name in self._references(module, node) if name.startswith(prefix))

    def _topics(self, service: str) -> dict[str, str]:
        """Return the topics that a service's events.py names, by the dotted name of the constant."""
        prefix = f"{service}.events."
        constants = {
            name: str(node.value.value)
            for name, node in self._nodes.items()
            if name.startswith(prefix) and isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        }
        return {name: value for name, value in constants.items() if value in PRODUCERS}

    def _definitions(self, module: str) -> list[str]:
        return [name for name in self._nodes if _module(name) == module]

    def _entries(self, module: str, node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
        """Return the entries of the dictionaries below a node whose keys are dotted names."""
        for table in (one for one in ast.walk(node) if isinstance(one, ast.Dict)):
            for key, value in zip(table.keys, table.values, strict=True):
                if key is not None and (name := self._resolve(module, key)):
                    yield name, value

    def _reach(self, start: Iterable[str], within: str = "") -> set[str]:
        """Follow references from definition to definition; use-case modules other than `within` are not entered."""
        reached: set[str] = set()
        waiting = list(start)
        while waiting:
            name = waiting.pop()
            module = _module(name)
            if name not in reached and (module == within or ".usecase." not in module):
                waiting += self._refers.get(name, ())
            reached.add(name)
        return reached

    def _references(self, module: str, node: ast.AST) -> set[str]:
        names = (self._resolve(module, part) for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute))
        return {name for name in names if name}

    def _resolve(self, module: str, node: ast.expr) -> str | None:
        """Return the full dotted name of `name` or `name.attribute`, None when it is neither imported nor defined."""
        if isinstance(node, ast.Attribute):
            base = self._resolve(module, node.value)
            return f"{base}.{node.attr}" if base else None
        return self._names.get(module, {}).get(node.id) if isinstance(node, ast.Name) else None


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return the dotted names that a module's names stand for; `import a.b` binds a."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
            names |= dict.fromkeys((alias.name.split(".")[0] for alias in node.names if not alias.asname), "")
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return {name: full or name for name, full in names.items()}
