"""The log store and the collector: they are there once `make observe` has built them, which takes minutes."""

import pytest

from servers import collector, victorialogs
from servers.base import Missing


@pytest.fixture(scope="session")
def built() -> None:
    """Skip without them."""
    try:
        victorialogs.PROGRAM.path()
        collector.program().path()
    except Missing as missing:
        pytest.skip(str(missing))
