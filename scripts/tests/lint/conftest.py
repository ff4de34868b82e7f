"""Small planted checkouts for the checks of the source code."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lint.sources import Source, read

Plant = Callable[[Mapping[str, str]], list[Source]]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Write files, text by path, into a checkout of its own and read it."""

    def write(files: Mapping[str, str]) -> list[Source]:
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, "utf-8")
        return read(tmp_path)

    return write
