"""The clock of a local stack: `now()` in its databases, and a file that its services and the simulator read."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from chassis.clock import AHEAD
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from servers.postgres import DATABASES, Postgres

DAY_S = 86_400
LEAST_S, MOST_S = 1, 90 * DAY_S
"""How far one advance may go."""
MOST_AHEAD_S = 3650 * DAY_S
"""How far all of them together may go."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY_S}
_TIME = re.compile(r"([0-9]{1,9})([smhd])")

# Before pg_catalog, so that the services' own `now()` is this one; behind public, where migrations make their tables.
PATH = '"$user", public, clock, pg_catalog'
# PostgreSQL puts such a function's body in its place, so a clock that is right costs nothing. clock_timestamp() dates
# the history of orders; statement_timestamp() stays the machine's.
_FUNCTION = """
CREATE OR REPLACE FUNCTION clock.{name}() RETURNS timestamptz LANGUAGE sql {volatility} PARALLEL SAFE
  AS $$ SELECT pg_catalog.{name}(){later} $$
"""
_FUNCTIONS = {"now": "STABLE", "clock_timestamp": "VOLATILE"}
_SCHEMA = "CREATE SCHEMA IF NOT EXISTS clock; GRANT USAGE ON SCHEMA clock TO PUBLIC"
# Tables of a stack that is older than its clock: as the path is now, pg_get_expr names the functions that it hides.
_DEFAULTS = f"""
SET search_path = {PATH};
DO $$
DECLARE found record;
BEGIN
  FOR found IN
    SELECT adrelid::regclass AS place, attname, pg_get_expr(adbin, adrelid) AS value
    FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
    WHERE pg_get_expr(adbin, adrelid) IN ('pg_catalog.now()', 'pg_catalog.clock_timestamp()')
  LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', found.place, found.attname,
                   replace(found.value, 'pg_catalog.', 'clock.'));
  END LOOP;
END $$
"""


def seconds(text: str) -> int:
    """Read a time such as 90s, 30m, 24h or 7d. Raises StackError for another text, and for one out of bounds."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise StackError(f"a time is a whole number and one of s, m, h, d, such as 90s, 30m, 24h or 7d; got {text!r}")
    value = int(found[1]) * UNITS[found[2]]
    if not LEAST_S <= value <= MOST_S:
        raise StackError(f"the clock is advanced by 1s to {MOST_S // DAY_S}d at a time, and never set back; got {text}")
    return value


class StackClock:
    """The clock of one stack, as far ahead of the machine's as its file says. It is kept with the data."""

    def __init__(self, layout: Layout, postgres: Postgres) -> None:
        self.path = layout.home / "data" / "clock"
        # What an advance wants to reach. It is ahead of the file while databases may be ahead of it, too.
        self._wanted = self.path.with_name("clock.wanted")
        self._postgres = postgres

    def make(self) -> None:
        """Make the file that the programs map at their start."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(AHEAD.pack(0))

    @property
    def ahead_s(self) -> int:
        return _read(self.path)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    async def install(self) -> None:
        """Give the databases their clock, and finish an advance that failed on the way.

        Sessions that are open already keep the machine's clock.
        """
        ahead_s = max(self.ahead_s, _read(self._wanted))
        for name in DATABASES:
            async with self._connected(name) as connection:
                await connection.execute(_SCHEMA)
                await connection.execute(_functions(ahead_s))
                await connection.execute(f"ALTER DATABASE {name} SET search_path = {PATH}")
                await connection.execute(_DEFAULTS)
        self._write(ahead_s)

    async def advance(self, by_s: int) -> None:
        """Move the clock forward. The databases come first: who is woken by the file finds in them what is due.

        When it fails on the way it may be called again, and then moves at least as far: no database goes back. Raises
        StackError.
        """
        if not self.path.exists():
            raise StackError("the stack was started by a version without a clock: `fc down` and `fc up` give it one")
        ahead_s = self.ahead_s + by_s
        if ahead_s > MOST_AHEAD_S:
            raise StackError(f"the clock may be {MOST_AHEAD_S // DAY_S} days ahead at most: `fc down --wipe` resets it")
        ahead_s = max(ahead_s, _read(self._wanted))
        self._wanted.write_bytes(AHEAD.pack(ahead_s))
        for name in DATABASES:
            async with self._connected(name) as connection:
                await connection.execute(_functions(ahead_s))
        self._write(ahead_s)

    def _write(self, ahead_s: int) -> None:
        # In place: the programs have mapped this file.
        with self.path.open("r+b") as file:
            os.pwrite(file.fileno(), AHEAD.pack(ahead_s), 0)

    @asynccontextmanager
    async def _connected(self, database: str) -> AsyncIterator[asyncpg.Connection]:
        try:
            connection = await self._postgres.connect(database)
            try:
                yield connection
            finally:
                await connection.close()
        except (asyncpg.PostgresError, TimeoutError) as error:
            raise StackError(f"the clock of the database of {database} can't be set: {error or 'no answer'}") from None


def _read(path: Path) -> int:
    try:
        return int(AHEAD.unpack(path.read_bytes())[0])
    except FileNotFoundError:
        return 0


def _functions(ahead_s: int) -> str:
    later = f" + interval '{ahead_s} seconds'" if ahead_s else ""
    return ";".join(
        _FUNCTION.format(name=name, volatility=volatility, later=later) for name, volatility in _FUNCTIONS.items()
    )
