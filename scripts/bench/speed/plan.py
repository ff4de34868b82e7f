"""The rows in the order of their measurement, and which of them are asked for."""

from collections.abc import Sequence
from dataclasses import replace

from bench.speed.checkout import CHECKOUT
from bench.speed.errors import Unmeasured
from bench.speed.events import CONSUMERS, RELAY
from bench.speed.reads import LOGIN, READS, READS_OF_TWO, SEARCHES
from bench.speed.resident import FRESH, LOADED
from bench.speed.rows import Group, Row
from bench.speed.saga import SAGA

BEFORE_AUDIT: Sequence[Group] = (FRESH, READS, READS_OF_TWO, SEARCHES, LOGIN, CHECKOUT, SAGA, LOADED)
# Their orders are invented: the audit would name each.
AFTER_AUDIT: Sequence[Group] = (CONSUMERS, RELAY)


def rows() -> dict[str, Row]:
    """Return every row by name."""
    return {row.name: row for group in (*BEFORE_AUDIT, *AFTER_AUDIT) for row in group.rows}


def chosen(groups: Sequence[Group], only: Sequence[str]) -> list[Group]:
    """Return the groups with the rows that are asked for, all when none is. Raises Unmeasured for unknown ones."""
    if unknown := sorted(set(only) - rows().keys()):
        raise Unmeasured(f"no row is named {', '.join(unknown)}: there are {', '.join(rows())}")
    if not only:
        return list(groups)
    parts = (replace(group, rows=[row for row in group.rows if row.name in only]) for group in groups)
    return [group for group in parts if group.rows]


def words(text: str) -> list[str]:
    """Split `a,b c` into its names."""
    return text.replace(",", " ").split()
