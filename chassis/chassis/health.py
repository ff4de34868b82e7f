"""Readiness: each dependency is asked at once with a time limit; only the service's own database decides."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[None]]
CHECK_TIMEOUT_S = 2.0


class Readiness:
    """The checks of a service. A check raises when its dependency does not answer."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._migrations: Check | None = None

    def add(self, name: str, check: Check, *, critical: bool = False) -> None:
        """Add a dependency; only a critical one makes the service not ready."""
        self._checks[name] = (check, critical)

    def migrations(self, check: Check) -> None:
        """Set the check that the database is at this program's revision."""
        self._migrations = check

    async def report(self) -> tuple[bool, dict[str, object]]:
        """Ask everything at once; return whether the service is ready, and the body of GET /ready."""
        names = list(self._checks)
        failures = await asyncio.gather(*(_failure(self._checks[name][0]) for name in names), _failure(self._migrations))
        ready = failures[-1] is None
        states = {}
        for name, failure in zip(names, failures, strict=False):
            critical = self._checks[name][1]
            ready = ready and not (critical and failure)
            states[name] = "ok" if failure is None else f"{'down' if critical else 'degraded'}: {failure}"
        migrations = "ok" if failures[-1] is None else f"not current: {failures[-1]}"
        return ready, {"status": "ready" if ready else "not_ready", "checks": states, "migrations": migrations}


async def _failure(check: Check | None) -> str | None:
    """Run a check; a stable word for what failed, never a driver's own text, because the answer is public."""
    if check is None:
        return None
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return "no answer in time"
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is not ready
        log.info("readiness check failed", error=str(error), kind=type(error).__name__)
        return "wrong revision" if isinstance(error, RuntimeError) else "not reachable"
    return None
