"""A stack of its own: what chaos leaves behind is audited as a whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fc.stack import Stack
from tests.chaos.run import OVERRIDES


@pytest.fixture(scope="module")
def battlefield(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start a stack that finds lost webhooks in seconds; stop and remove it."""
    started = Stack.for_tests(Path(tmp_path_factory.mktemp("chaos")), **OVERRIDES)
    started.up()
    try:
        yield started
    finally:
        started.down()
        started.wipe()
