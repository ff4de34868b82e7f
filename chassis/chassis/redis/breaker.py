"""The circuit breaker of Redis: it makes an outage cheap, and knows since when Redis takes no writes."""

import time

import structlog
from prometheus_client import Counter
from redis.exceptions import MasterDownError, ReadOnlyError, ResponseError

log = structlog.get_logger(__name__)

BREAK_S = 1.0

# A server that is no longer the master.
_DEMOTED = (ReadOnlyError, MasterDownError)

OUTAGES = Counter("gocommerce_redis_outages_total", "Times that Redis stopped answering this process")


class Breaker:
    """Opens after a command without an answer. Then one caller a second tries Redis again.

    An error that Redis answers is no outage.
    """

    def __init__(self) -> None:
        self.down = False
        self._closed_until = 0.0
        self._refused_since: float | None = None
        self._leave_after = 0.0

    @property
    def without_writes_s(self) -> float:
        return 0.0 if self._refused_since is None else time.monotonic() - self._refused_since

    def may_try(self) -> bool:
        if not self.down:
            return True
        now = time.monotonic()
        if now < self._closed_until:
            return False
        self._closed_until = now + BREAK_S
        return True

    def failed(self, error: BaseException) -> None:
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
            if isinstance(error, ResponseError):
                log.warning("redis refused a command", error=str(error))
        if isinstance(error, ResponseError):
            self.answered()
            return
        self._closed_until = now + BREAK_S
        if not self.down:
            self.down = True
            OUTAGES.inc()
            log.warning("redis is down", error=f"{type(error).__name__}: {error}")

    def leaves(self, error: BaseException) -> bool:
        """Return whether to leave the server after this error: it is silent or demoted. True at most once a second."""
        now = time.monotonic()
        refused = isinstance(error, ResponseError) and not isinstance(error, _DEMOTED)
        if refused or now < self._leave_after:
            return False
        self._leave_after = now + BREAK_S
        return True

    def answered(self, *, writes: bool = False) -> None:
        """Record an answer, and whether it was to a command that writes."""
        if self.down:
            self.down = False
            log.info("redis answers again")
        if writes and self._refused_since is not None:
            self._refused_since = None
            log.info("redis takes writes again")
