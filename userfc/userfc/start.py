"""The start of userfc: the database is migrated and the configured administrator exists before it is ready."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from chassis.db import revisions
from chassis.db.database import Database
from chassis.errors import RateLimited, Unavailable, is_transient
from userfc.config import Settings
from userfc.service.passwords import Passwords
from userfc.usecase.ensure_admin import ensure_admin

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[object]]


class Start:
    """Checks the migrations, and creates the administrator once."""

    def __init__(self, settings: Settings, db: Database, passwords: Passwords) -> None:
        self._settings = settings
        self._db = db
        self._passwords = passwords
        self._lock = asyncio.Lock()
        self._done = False

    async def ready(self) -> None:
        """Check the migrations, and create the administrator the first time. Raises what /ready reports."""
        await revisions.check_current(self._db, self._settings.service)
        async with self._lock:
            if not self._done:
                await self._ensure_admin()
                self._done = True

    async def attempt(self) -> None:
        """Try to complete the start. An outage of the database is no error: the loops try again."""
        try:
            await self._complete()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("waiting for the database", error=f"{type(error).__name__}: {error}")

    def before(self, work: Work) -> Work:
        """Return a function that completes the start and then calls `work`. It raises Unavailable until then."""

        async def run() -> object:
            await self._complete()
            return await work()

        return run

    async def _complete(self) -> None:
        if self._done:
            return
        try:
            await self.ready()
        except (RuntimeError, RateLimited) as error:
            raise Unavailable(str(error)) from error

    async def _ensure_admin(self) -> None:
        email, password = self._settings.admin_email, self._settings.admin_password
        if email is not None and password is not None:
            await ensure_admin(self._db, self._passwords, email, password.get_secret_value())
        elif email is not None or password is not None:
            log.warning("administrator not created: ADMIN_EMAIL and ADMIN_PASSWORD are required together")
