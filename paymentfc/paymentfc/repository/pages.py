"""One page of a table, newest first, with the number of all rows: the form of every list for administrators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chassis.db.database import Database

T = TypeVar("T")

# The largest bigint of PostgreSQL: a greater offset would be an error.
MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The rows of one page; `number` counts from 1, `total` is over all pages."""

    items: list[T]
    total: int
    number: int
    size: int


def offset(number: int, size: int) -> int:
    return min((number - 1) * size, MAX_OFFSET)


async def read(
    db: Database, columns: str, rest: str, arguments: Sequence[Any], number: int, size: int
) -> Page[dict[str, Any]]:
    """Read a page of `SELECT columns rest`, where `rest` is FROM and WHERE with the arguments as $1, $2 and so on."""
    count = len(arguments)
    statement = f"SELECT {columns} {rest} ORDER BY id DESC LIMIT ${count + 1} OFFSET ${count + 2}"
    async with db.driver() as connection:
        total = await connection.fetchval(f"SELECT count(*) {rest}", *arguments)
        rows = await connection.fetch(statement, *arguments, size, offset(number, size))
    return Page([dict(row) for row in rows], total, number, size)
