"""Refusals and failures as the services name them: a sentence, a stable code and a kind; each edge maps the kind once.

AppError                 a refusal that a caller is told about
├── Invalid              validation_failed
├── Unauthenticated      unauthenticated
├── Forbidden            forbidden
├── NotFound             not_found
├── Conflict             conflict
├── Unprocessable        unprocessable
├── RateLimited          rate_limited
└── Unavailable          unavailable
InvalidMessage           a Kafka message that can never be applied: dead letter at once
NotYet                   what a message needs has not arrived: retried for a while, then dead letter
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

import asyncpg
from sqlalchemy import exc as sa_exc


class Kind(StrEnum):
    """What sort of refusal it is; HTTP, gRPC and Kafka each translate it in one table."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    UNPROCESSABLE = "unprocessable"
    UNSUPPORTED_MEDIA = "unsupported_media"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class AppError(Exception):
    """A refusal with a sentence for a person, a stable code for a program and a kind for the edge.

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
    """The request itself is wrong; the same request can never succeed."""

    code = "validation_failed"
    kind = Kind.INVALID


class Unauthenticated(AppError):
    """Nobody, or nobody that can be believed, is asking."""

    code = "unauthenticated"
    kind = Kind.UNAUTHENTICATED


class Forbidden(AppError):
    """The caller is known and lacks the role."""

    code = "forbidden"
    kind = Kind.FORBIDDEN


class NotFound(AppError):
    """There is no such thing, or none that this caller may see."""

    code = "not_found"
    kind = Kind.NOT_FOUND


class Conflict(AppError):
    """The request is well formed and clashes with the present state."""

    code = "conflict"
    kind = Kind.CONFLICT


class Unprocessable(AppError):
    """The request contradicts an earlier one that it claims to repeat."""

    code = "unprocessable"
    kind = Kind.UNPROCESSABLE


class RateLimited(AppError):
    """Too many requests; `retry_after` says when to come back."""

    code = "rate_limited"
    kind = Kind.RATE_LIMITED
    default_retry_after = 1


class Unavailable(AppError):
    """Something that is needed can't be reached now; nothing was written."""

    code = "unavailable"
    kind = Kind.UNAVAILABLE
    default_retry_after = 2


class InvalidMessage(Exception):
    """A message that can never be applied. `reason` is the stable code of the `x-reason` header."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class NotYet(Exception):
    """The message is ahead of what it refers to, for example an event for an order that is not known here."""


_CONNECTION_ERRORS: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # A connection that has heard of its server's crash and whose socket is not closed yet.
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    sa_exc.TimeoutError,
)
# PostgreSQL's classes of errors in which the server speaks of itself: connection exception, insufficient resources (disk
# full, out of memory, too many connections), operator intervention (shutdown, cancelled, starting), system error.
_SERVER_CLASSES = frozenset({"08", "53", "57", "58"})


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what caused it; SQLAlchemy keeps the driver's error, whose cause is asyncpg's, in `orig`."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def is_transient(error: BaseException) -> bool:
    """Tell whether a dependency is down, sick or slow, so that the same work can succeed later unchanged."""
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
    """Give the class of an error that PostgreSQL itself answered: the first two characters of its SQLSTATE."""
    return (error.sqlstate or "")[:2] if isinstance(error, asyncpg.PostgresError) else None


_CONTENTION_ERRORS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)


def is_contention(error: BaseException) -> bool:
    """Tell whether PostgreSQL gave up this transaction for another one's sake (40P01, 40001): run it again at once."""
    return any(isinstance(seen, _CONTENTION_ERRORS) for seen in causes(error))
