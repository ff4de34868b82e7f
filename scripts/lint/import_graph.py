"""Measures the import graph: its cycles, and the fewest edges that break them.

A node is a module or package directly below the measured package. If all code is measured, it is a top-level package.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from lint.sources import Source, imports

Edge = tuple[str, str]  # importer, imported

_MAX_TRIED = 200_000


@dataclass(frozen=True)
class ImportGraph:
    """The nodes and their imports. Several imports from one node to another are one edge."""

    nodes: frozenset[str]
    edges: frozenset[Edge]

    @property
    def cycles(self) -> list[frozenset[str]]:
        """The strongly connected components of more than one node."""
        return [component for component in _components(self.nodes, self.edges) if len(component) > 1]

    @property
    def back_edges(self) -> list[Edge]:
        """The fewest edges whose removal leaves no cycle."""
        return [edge for cycle in self.cycles for edge in _fewest(_within(self.edges, cycle))]

    @property
    def depth(self) -> int:
        """The number of nodes on the longest path, without the back edges."""
        successors = _successors(self.edges - set(self.back_edges))
        depths: dict[str, int] = {}

        def depth(node: str) -> int:
            if node not in depths:
                depths[node] = 1 + max(map(depth, successors.get(node, ())), default=0)
            return depths[node]

        return max(map(depth, self.nodes), default=0)


def import_graph(sources: Iterable[Source], package: str) -> ImportGraph:
    """Build the graph of a package, given by its dotted name. An empty name means all code."""
    prefix = f"{package}." if package else ""
    level = prefix.count(".")
    inside = [source for source in sources if f"{source.module}.".startswith(prefix) and source.group != "tests"]
    nodes = {source.module.split(".")[level] for source in inside if source.module.count(".") >= level}
    edges = set()
    for source in inside:
        node = source.module.split(".")[level] if source.module.count(".") >= level else None
        for name in imports(source.tree):
            target = name.split(".")[level] if name.startswith(prefix) and name.count(".") >= level else None
            if node and target in nodes and target != node:
                edges.add((node, target))
    return ImportGraph(frozenset(nodes), frozenset(edges))


def _successors(edges: Iterable[Edge]) -> dict[str, set[str]]:
    successors: dict[str, set[str]] = {}
    for importer, imported in edges:
        successors.setdefault(importer, set()).add(imported)
    return successors


def _reachable(start: str, successors: Mapping[str, set[str]]) -> set[str]:
    """Return the nodes that can be reached from a node by one edge or more."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for node in successors.get(waiting.pop(), ()):
            if node not in reached:
                reached.add(node)
                waiting.append(node)
    return reached


def _components(nodes: Iterable[str], edges: Iterable[Edge]) -> set[frozenset[str]]:
    """Return the strongly connected components."""
    successors = _successors(edges)
    reachable = {node: _reachable(node, successors) for node in nodes}
    return {frozenset({node} | {other for other in reachable[node] if node in reachable[other]}) for node in reachable}


def _within(edges: Iterable[Edge], component: frozenset[str]) -> list[Edge]:
    return sorted(edge for edge in edges if component.issuperset(edge))


def _is_acyclic(edges: Iterable[Edge]) -> bool:
    successors = _successors(edges)
    return all(node not in _reachable(node, successors) for node in successors)


def _fewest(edges: list[Edge]) -> tuple[Edge, ...]:
    """Try all sets of edges, the smallest first. Raises ValueError if that would take too long."""
    tried = 0
    for size in range(1, len(edges) + 1):
        for removed in combinations(edges, size):
            if _is_acyclic(set(edges) - set(removed)):
                return removed
            tried += 1
            if tried > _MAX_TRIED:
                raise ValueError(f"too many cycles to find the fewest edges that break them: {edges}")
    return ()
