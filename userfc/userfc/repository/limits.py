"""The rate limits of userfc."""

from chassis.auth.limits import Limit
from chassis.errors import Unavailable
from chassis.redis.client import RedisClient
from userfc.config import Settings

# How long log-ins go on with the counts of each process alone.
LOCAL_S = 30
RETRY_AFTER_S = 5


class Failures:
    """The limits that a wrong password counts in. The first one that is full refuses, and the later ones do not count.

    Within the first, one address cannot use up the second and so keep the owner of the account from signing in.
    """

    def __init__(self, *limits: tuple[Limit, str]) -> None:
        self._limits = limits

    async def test(self) -> None:
        """Raise TooManyTries when one of the windows is full."""
        for limit, subject in self._limits:
            await limit.test(subject)

    async def hit(self) -> None:
        """Count one failure. Raises TooManyTries when one of the windows is full."""
        for limit, subject in self._limits:
            await limit.hit(subject)


class Limits:
    """The rate limits of registration and log-in."""

    def __init__(self, redis: RedisClient, settings: Settings) -> None:
        self._redis = redis
        self.logins_of_address = Limit(redis, "login_address", settings.login_limit_per_address)
        self.logins_of_site = Limit(redis, "login_site", settings.login_limit_per_site)
        # From one address, and from all addresses together.
        self._failures = Limit(redis, "login_account", settings.login_limit_per_account)
        self._failures_total = Limit(redis, "login_account_total", settings.login_limit_per_account_total)
        self.registrations_of_address = Limit(redis, "register_address", settings.register_limit_per_address)
        self.registrations_of_site = Limit(redis, "register_site", settings.register_limit_per_site)

    def failures(self, account: str, address: str) -> "Failures":
        """Return the limits of wrong passwords for an account, from this address and from all together."""
        return Failures((self._failures, f"{address} {account}"), (self._failures_total, account))

    def require_shared_counts(self) -> None:
        """Raise Unavailable when Redis has counted nothing for 30 s: guesses would be limited per process only."""
        if self._redis.without_writes_s > LOCAL_S:
            raise Unavailable("Sign-in is not possible now; try again in a moment", retry_after=RETRY_AFTER_S)
