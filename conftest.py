"""Imports the packages before collection: their folders have their names, and pytest would take those instead.

It also says which tests belong together when several processes of pytest-xdist share the work.
"""

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

# The longest begin, so that the processes end at nearly the same time.
LONGEST = ("tests/chaos", "tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        group = group_of(item.path.relative_to(config.rootpath))
        return LONGEST.index(group) if group in LONGEST else len(LONGEST)

    items.sort(key=place)


class Scheduling(LoadScopeScheduling):
    """Keeps the tests of one folder in one process, because they share a stack or servers."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(Path(nodeid.partition("::")[0]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


# Folders with a stack of their own.
APART = ("tests/chaos", "tests/brokers")


def group_of(path: Path) -> str:
    return next((folder for folder in APART if path.is_relative_to(folder)), path.parts[0])
