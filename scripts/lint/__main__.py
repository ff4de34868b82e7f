"""`python -m lint [FOLDER]`: checks the sources and pages of a checkout (default: this one)."""

import sys
from collections.abc import Mapping
from pathlib import Path

from lint import (
    comments,
    dependencies,
    markdown,
    pass_through,
    planted,
    sizes,
    sql,
    versions,
    workflows,
)
from lint.sources import ROOT, read
from mutants.faults import FAULTS


def problems(root: Path) -> Mapping[str, list[str]]:
    """Return the problems of each check."""
    sources = read(root)
    return {
        "Markdown": markdown.problems(root),
        "planted faults": planted.problems(root, FAULTS),
        "dependencies": dependencies.problems(root, sources),
        "sizes": sizes.problems(sources, sizes.exceptions()),
        "comments": comments.problems(sources),
        "SQL": sql.problems(sources),
        "pass-through functions": pass_through.problems(sources),
        "versions": versions.problems(root),
        "workflows": workflows.problems(root),
    }


def main(arguments: list[str]) -> int:
    """Print the problems and return the exit code."""
    root = Path(arguments[0]) if arguments else ROOT
    if not (root / "pyproject.toml").is_file():
        print(f"{root} is no checkout of this project")
        return 2
    found = problems(root)
    lines = [line for check in found.values() for line in check]
    print("\n".join(lines) if lines else f"No problems: {', '.join(found)}.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
