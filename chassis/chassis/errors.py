"""Refusals and failures: a sentence, a stable code and a kind. Each edge (HTTP, gRPC, Kafka) maps the kind once.

AppError                 a refusal that is answered to the caller
├── Invalid              validation_failed
├── Unauthenticated      unauthenticated
├── Forbidden            forbidden
├── NotFound             not_found
├── Conflict             conflict
├── Unprocessable        unprocessable
├── RateLimited          rate_limited
└── Unavailable          unavailable
InvalidMessage           a Kafka message that can never be applied: dead letter at once
NotYet                   a Kafka message that came before what it refers to: retried, then dead letter
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

import asyncpg
from sqlalchemy import exc as sa_exc


class Kind(StrEnum):
    """The sort of a refusal, which HTTP and gRPC translate into a status in one table each."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNPROCESSABLE = "unprocessable"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class AppError(Exception):
    """A refusal: a sentence for people, a stable code for programs, a kind for the edge.

    `retry_after` is in seconds; `headers` are added to an HTTP answer.
    """

    code: str = "internal_error"
    kind: Kind = Kind.INTERNAL
    default_retry_after: int | None = None

    def __init__(
        self,
        message: str,
        *,
        retry_after: int | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after if retry_after is not None else self.default_retry_after
        self.headers = dict(headers or {})
        if code is not None:
            self.code = code


class Invalid(AppError):
    """The request is malformed; the same request can never succeed."""

    code = "validation_failed"
    kind = Kind.INVALID


class Unauthenticated(AppError):
    """The request carries no credentials, or none that are valid."""

    code = "unauthenticated"
    kind = Kind.UNAUTHENTICATED


class Forbidden(AppError):
    """The caller lacks the role."""

    code = "forbidden"
    kind = Kind.FORBIDDEN


class NotFound(AppError):
    """The resource does not exist, or the caller may not see it."""

    code = "not_found"
    kind = Kind.NOT_FOUND


class Conflict(AppError):
    """The request is well formed and conflicts with the current state."""

    code = "conflict"
    kind = Kind.CONFLICT


class Unprocessable(AppError):
    """The request reuses the key of an earlier one and differs from it."""

    code = "unprocessable"
    kind = Kind.UNPROCESSABLE


class RateLimited(AppError):
    """Too many requests; `retry_after` is the time to wait in seconds."""

    code = "rate_limited"
    kind = Kind.RATE_LIMITED
    default_retry_after = 1


class Unavailable(AppError):
    """A dependency can't be reached now; nothing was written."""

    code = "unavailable"
    kind = Kind.UNAVAILABLE
    default_retry_after = 2


class InvalidMessage(Exception):
    """A message that can never be applied. `reason` is the stable code of the `x-reason` header."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class NotYet(Exception):
    """The message came before what it refers to, for example an event for an order that is not stored yet."""


_CONNECTION_ERRORS: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # The server has crashed, and the connection's socket is not closed yet.
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    sa_exc.TimeoutError,
)
# SQLSTATE classes about the server itself: connection exception, insufficient resources (disk full, out of memory, too
# many connections), operator intervention (shutdown, cancelled, starting), system error.
_SERVER_CLASSES = frozenset({"08", "53", "57", "58"})


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes. SQLAlchemy keeps the driver's error, whose cause is asyncpg's, in `orig`."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def is_transient(error: BaseException) -> bool:
    """Return whether a dependency is down, failing or slow, so that the same work can succeed later."""
    for seen in causes(error):
        if isinstance(seen, AppError):
            return seen.kind is Kind.UNAVAILABLE
        if isinstance(seen, asyncpg.InterfaceError) and isinstance(seen, ValueError):
            # A value that the driver can't encode, for example a number out of range.
            return False
        if isinstance(seen, _CONNECTION_ERRORS) or sql_class(seen) in _SERVER_CLASSES:
            return True
        if isinstance(seen, sa_exc.DBAPIError) and seen.connection_invalidated:
            return True
    return False


def sql_class(error: BaseException) -> str | None:
    """Return the first two characters of the SQLSTATE of an error that PostgreSQL answered, else None."""
    return (error.sqlstate or "")[:2] if isinstance(error, asyncpg.PostgresError) else None


_CONTENTION_ERRORS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)


def is_contention(error: BaseException) -> bool:
    """Return whether PostgreSQL ended the transaction because of a concurrent one (40P01, 40001, 55P03)."""
    return any(isinstance(seen, _CONTENTION_ERRORS) for seen in causes(error))
