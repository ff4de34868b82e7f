"""Passwords: Argon2id for what is written, bcrypt for what the Go system wrote, off the event loop and bounded."""

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TypeVar

import structlog
from prometheus_client import Counter
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from userfc.errors import PasswordsBusy

log = structlog.get_logger(__name__)

REFUSED = Counter("password_work_refused_total", "Passwords that were not looked at because too many were waiting")

# OWASP's minimum: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
# Go reads no more of a password than this.
BCRYPT_BYTES = 72
# At about 25 ms each a full queue is a second's wait per thread of a two core machine.
QUEUE = 64
# A hash of nothing anybody knows, at the cost that the Go system used (10).
NOBODY_BCRYPT = "$2a$10$DppbCYiAsMlqYhWy5QX1vOdGZ8jwF.RHznSGCYlgd7D9SGxZhEv.G"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether the password was right, and the hash to store instead of the old one when that is out of date."""

    ok: bool
    renewed: str | None = None


class Passwords:
    """Hashes and checks passwords on as many threads as there are cores; more than `queue` waiting are refused."""

    def __init__(
        self,
        threads: int | None = None,
        queue: int = QUEUE,
        argon2: Argon2Hasher | None = None,
        bcrypt: BcryptHasher | None = None,
    ) -> None:
        threads = threads or len(os.sched_getaffinity(0))
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._room = BoundedSemaphore(threads + queue)
        self._argon2 = argon2 or Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._bcrypt = bcrypt or BcryptHasher()
        self._nobody = self._argon2.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Make the hash to store. Raises PasswordsBusy."""
        return await self._run(lambda: self._argon2.hash(password))

    async def check(self, password: str, stored: str | None, *, check_bcrypt: bool) -> Checked:
        """Check a password against a stored hash, or against nobody's when there is no such user.

        A refusal costs the same whoever was asked for: one Argon2 check, and one bcrypt check too while there are any
        bcrypt hashes (`check_bcrypt`). Raises PasswordsBusy.
        """
        return await self._run(lambda: self._check(password, stored, check_bcrypt=check_bcrypt))

    async def close(self) -> None:
        """Drop what waits and end the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _check(self, password: str, stored: str | None, *, check_bcrypt: bool) -> Checked:
        modern = stored is not None and self._argon2.identify(stored)
        legacy = stored is not None and not modern and self._bcrypt.identify(stored)
        ok = self._argon2.verify(password, stored if modern and stored else self._nobody) and modern
        if legacy or check_bcrypt:
            matches = self._verify_bcrypt(password, stored if legacy and stored else NOBODY_BCRYPT)
            ok = ok or (matches and legacy)
        if stored is not None and not (modern or legacy):
            log.error("a stored password hash is of no known kind")
        outdated = ok and stored is not None and (legacy or self._argon2.check_needs_rehash(stored))
        return Checked(ok, self._argon2.hash(password) if outdated else None)

    def _verify_bcrypt(self, password: str, stored: str) -> bool:
        try:
            return self._bcrypt.verify(password.encode()[:BCRYPT_BYTES], stored)
        except ValueError:
            log.exception("a stored bcrypt hash can not be read")
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            REFUSED.inc()
            raise PasswordsBusy
        future = self._executor.submit(work)
        # When the work is over, not when its caller has gone away: a caller who hangs up makes no room.
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)
