"""Password hashing on threads, with a bounded queue: Argon2id, and bcrypt for the hashes of the Go system."""

import asyncio
import os
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

REFUSED = Counter(
    "gocommerce_password_work_refused_total", "Passwords that were not checked because the queue was full"
)

# OWASP's minimum: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
# Go's bcrypt reads no more bytes of a password than this.
BCRYPT_BYTES = 72
# A hash takes about 25 ms, so a full queue means a wait of about one second on two cores.
MAX_WAITING = 64
# Hashes of unknown texts: with the cost of ours, and with that of the Go system (10). To make one at the start would
# hold up the event loop, and to make it at the first check would tell an unknown user from a known one.
DUMMY_ARGON2 = "$argon2id$v=19$m=19456,t=2,p=1$zXKzDqWMJinfRZkZaZ22Ow$m8ru/TJjN1Teq4PF2fI/DBa9puDXXYpU0JmtoV4dbMs"
DUMMY_BCRYPT = "$2a$10$DppbCYiAsMlqYhWy5QX1vOdGZ8jwF.RHznSGCYlgd7D9SGxZhEv.G"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """Whether the password is right, and a new hash to store when the old one is outdated."""

    ok: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and checks passwords on as many threads as there are cores. At most `queue` calls wait."""

    def __init__(
        self,
        threads: int | None = None,
        queue: int = MAX_WAITING,
        argon2: Argon2Hasher | None = None,
        bcrypt: BcryptHasher | None = None,
    ) -> None:
        threads = threads or len(os.sched_getaffinity(0))
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._slots = BoundedSemaphore(threads + queue)
        self._argon2 = argon2 or Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._bcrypt = bcrypt or BcryptHasher()

    async def hash(self, password: str) -> str:
        """Raises PasswordsBusy."""
        return await self._run(lambda: self._argon2.hash(password))

    async def check(self, password: str, stored: str | None, *, check_bcrypt: bool) -> Check:
        """Check a password against a stored hash, or against a dummy hash when there is no such user.

        A refusal takes the same time for every address: one Argon2 check, and one bcrypt check as well while bcrypt
        hashes exist (`check_bcrypt`). Raises PasswordsBusy.
        """
        return await self._run(lambda: self._check(password, stored, check_bcrypt=check_bcrypt))

    async def close(self) -> None:
        """Drop the waiting calls and end the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _check(self, password: str, stored: str | None, *, check_bcrypt: bool) -> Check:
        modern = stored is not None and self._argon2.identify(stored)
        legacy = stored is not None and not modern and self._bcrypt.identify(stored)
        ok = self._argon2.verify(password, stored if modern and stored else DUMMY_ARGON2) and modern
        if legacy or check_bcrypt:
            matches = self._verify_bcrypt(password, stored if legacy and stored else DUMMY_BCRYPT)
            ok = ok or (matches and legacy)
        if stored is not None and not (modern or legacy):
            log.error("stored password hash of unknown kind")
        outdated = ok and stored is not None and (legacy or self._argon2.check_needs_rehash(stored))
        return Check(ok, self._argon2.hash(password) if outdated else None)

    def _verify_bcrypt(self, password: str, stored: str) -> bool:
        try:
            return self._bcrypt.verify(password.encode()[:BCRYPT_BYTES], stored)
        except ValueError:
            log.exception("stored bcrypt hash cannot be read")
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._slots.acquire(blocking=False):
            REFUSED.inc()
            raise PasswordsBusy
        future = self._executor.submit(work)
        # The slot is released when the work ends. A caller that hangs up does not release it: the thread is still busy.
        future.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(future)
