"""What statements for the payments of several orders have in common (ADR 22)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import asyncpg

from chassis.errors import is_without_effect

T = TypeVar("T")


def in_lock_order(items: Sequence[T], external_id: Callable[[T], str]) -> list[tuple[int, T]]:
    """Return the items with their places, in the order in which such statements lock the rows of payments.

    All such statements use this order, so that two of them can't deadlock.
    """
    return sorted(enumerate(items), key=lambda placed: external_id(placed[1]))


def can_be_made_apart(error: Exception) -> bool:
    """Whether a statement for several has surely done nothing, and the same for each of them may succeed.

    PostgreSQL also ends a statement that waits too long: one order that somebody has locked must not hold up others.
    """
    return is_without_effect(error) or isinstance(error, asyncpg.QueryCanceledError)
