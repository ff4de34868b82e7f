"""Which cases of the fault tests run: all of them with FAULTS=all (`make faults`), else the first of each test."""

import os
from collections.abc import Collection
from pathlib import Path

import pytest


def first_cases(config: pytest.Config, items: list[pytest.Item], folder: Path, whole: Collection[str] = ()) -> None:
    """Leave out long tests and further cases of those in a folder, but for the files in `whole`."""
    if os.environ.get("FAULTS") == "all":
        return
    seen: set[tuple[object, str]] = set()
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        name = (item.path, getattr(item, "originalname", item.name))
        further = item.path.parent == folder and item.path.name not in whole and name in seen
        (left if item.get_closest_marker("long") or further else kept).append(item)
        seen.add(name)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept
