"""Prints measures of the source code as a Markdown table: `make measure`, `python -m lint.measure --beside FOLDER`.

`--at` and `--beside` are checkouts, so the code of an earlier commit can be measured by this script as well.
"""

import argparse
import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lint.duplicates import WINDOW, blocks
from lint.import_graph import import_graph
from lint.sizes import LIMITS, Size, sizes
from lint.sources import GROUPS, ROOT, Source, functions, read

_PLURALS = {"file": "Files", "function": "Functions", "class": "Classes"}
_GRAPHS = {"chassis": "chassis", "fc": "scripts/fc", "": "all packages"}


def measure(root: Path) -> dict[str, str]:
    """Return the measures of a checkout by name. Three figures in one measure are those of GROUPS, in its order."""
    sources = read(root)
    return dict(
        [
            ("Files", _by_group(sources, len)),
            ("Lines", _by_group(sources, lambda group: sum(source.lines for source in group))),
            *_size_rows(sources),
            *_import_rows(sources),
            ("Functions with a docstring, product", _docstring_share(_of("product", sources))),
            *((f"`{mark}`", _by_group(sources, _counter(mark))) for mark in ("fmt: skip", "noqa", "type: ignore")),
            (f"Duplicated blocks ({WINDOW} or more equal lines of code)", _by_group(sources, blocks)),
        ]
    )


def _of(group: str, sources: Iterable[Source]) -> list[Source]:
    return [source for source in sources if source.group == group]


def _by_group(sources: Iterable[Source], count: Callable[[list[Source]], int]) -> str:
    sources = list(sources)
    return " / ".join(f"{count(_of(group, sources)):,}" for group in GROUPS)


def _size_rows(sources: list[Source]) -> Iterator[tuple[str, str]]:
    by_group = {group: [size for source in _of(group, sources) for size in sizes(source)] for group in GROUPS}
    for kind, limit in LIMITS.items():
        of_kind = {group: [size for size in by_group[group] if size.kind == kind] for group in GROUPS}
        for group in GROUPS:
            yield f"Largest {kind}, {group}", _largest(of_kind[group])
        over = (sum(size.is_over for size in of_kind[group]) for group in GROUPS)
        yield f"{_PLURALS[kind]} over {limit} lines", " / ".join(map(str, over))


def _largest(of_kind: list[Size]) -> str:
    largest = max(of_kind, key=lambda size: size.lines, default=None)
    if largest is None:
        return "none"
    path, _, name = largest.name.partition("::")
    return f"{largest.lines} (`{name or path}`)"


def _import_rows(sources: list[Source]) -> Iterator[tuple[str, str]]:
    for package, title in _GRAPHS.items():
        graph = import_graph(sources, package)
        counts = (len(graph.nodes), graph.depth, len(graph.edges), len(graph.back_edges), len(graph.cycles))
        yield (
            f"{title}, imports: nodes / depth / edges / edges that close a cycle / cycles",
            " / ".join(map(str, counts)),
        )


def _docstring_share(sources: Iterable[Source]) -> str:
    of = [node for source in sources for node in functions(source.tree)]
    documented = sum(ast.get_docstring(node) is not None for node in of)
    return f"{documented / max(len(of), 1):.0%} ({documented} of {len(of)})"


def _counter(mark: str) -> Callable[[list[Source]], int]:
    pattern = re.compile(rf"#\s*{mark}")
    return lambda sources: sum(bool(pattern.search(text)) for source in sources for _, text in source.comments)


def table(columns: dict[str, dict[str, str]]) -> str:
    """Write columns of measures, by their titles, as a Markdown table."""
    rows = [
        ["Measure", *columns],
        ["---"] * (len(columns) + 1),
        *([name, *(column[name] for column in columns.values())] for name in next(iter(columns.values()))),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Print the table for the checkouts on the command line."""
    parser = argparse.ArgumentParser(prog="make measure", description="Measures of the source code.")
    parser.add_argument("--at", type=Path, default=ROOT, help="the checkout to measure (default: this one)")
    parser.add_argument("--beside", type=Path, help="a second checkout, shown in the first column")
    arguments = parser.parse_args()
    for folder in (arguments.at, arguments.beside):
        if folder and not folder.is_dir():
            parser.error(f"{folder} is no folder")
    columns = {"Before": measure(arguments.beside)} if arguments.beside else {}
    columns["Now"] = measure(arguments.at)
    print(f"Three figures are {', '.join(GROUPS[:2])} and {GROUPS[2]}. Generated code does not count.\n")
    print(table(columns))


if __name__ == "__main__":
    main()
