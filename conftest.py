"""Imports the packages before collection: their folders have their names, and pytest would take those instead.

It also says which tests belong together when several processes of pytest-xdist share the work.
"""

import gc
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

import chassis
import console
import fc
import orderfc
import paymentfc
import productfc
import servers
import testkit
import userfc
import xendit_sim

__all__ = [
    "chassis",
    "console",
    "fc",
    "orderfc",
    "paymentfc",
    "productfc",
    "servers",
    "testkit",
    "userfc",
    "xendit_sim",
]

# The longest begin, and what is left at the end is short: so the processes end at nearly the same time.
LONGEST = (
    "tests/chaos",
    "tests",
    "scripts/tests/fc",
    "paymentfc/tests/integration",
    "productfc/tests/integration",
    "chassis/tests/integration",
    "scripts/tests/bench",
    "scripts/tests/fc_audit",
    "orderfc/tests/integration",
    "tests/brokers",
    "tests/observe",
    "scripts/tests/xendit_sim",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        group = group_of(item.path.relative_to(config.rootpath))
        return LONGEST.index(group) if group in LONGEST else len(LONGEST)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    # Thousands of tests live to the end: each collection of garbage would look through all of them.
    gc.collect()
    gc.freeze()


class Scheduling(LoadScopeScheduling):
    """Keeps the tests of a group in one process, because they share a stack or servers."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(Path(nodeid.partition("::")[0]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


# Folders of `tests` that do not use the stack of the others.
APART = ("brokers", "chaos", "helm", "observe")


def group_of(path: Path) -> str:
    """Return the folder whose tests stay together; only the servers of `testkit` may be started by both processes."""
    if path.parts[0] == "tests":
        return f"tests/{path.parts[1]}" if path.parts[1] in APART else "tests"
    return str(Path(*path.parent.parts[:3]))
