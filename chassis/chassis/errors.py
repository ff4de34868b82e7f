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
Refused                  a server that a command can't work with, in one sentence
"""

import ssl
from collections.abc import Iterator, Mapping
from enum import StrEnum

import asyncpg


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


class Refused(Exception):
    """A server does not answer, can't be trusted, or refuses the work of a command; the text is one sentence."""


# A migration has changed what a prepared statement returns. Outside a transaction the driver prepares it again; inside
# one it can't, but nothing was committed, and the same work succeeds on another connection.
SCHEMA_CHANGED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)

_CONNECTION_ERRORS: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # The server has crashed, and the connection's socket is not closed yet.
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.LockNotAvailableError,
    # An identity column has reached its end.
    asyncpg.SequenceGeneratorLimitExceededError,
    *SCHEMA_CHANGED,
)
# SQLSTATE classes about the server or about other transactions: connection exception, a refused login, a database that
# is missing, rolled back (deadlock, serialization failure), insufficient resources (disk full, out of memory, too many
# connections), operator intervention (shutdown, cancelled, starting), system error.
_SERVER_CLASSES = frozenset({"08", "28", "3D", "40", "53", "57", "58"})
# A database that needs a vacuum, because its transaction ids are used up, takes no change. It answers 54000, as for a
# value that is too large for an index; the file of PostgreSQL's source tells them apart.
_TRANSACTION_IDS = frozenset({"varsup.c", "multixact.c"})


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes. SQLAlchemy keeps the driver's error, whose cause is asyncpg's, in `orig`."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def is_transient(error: BaseException) -> bool:
    """Return whether the same work can succeed later.

    A dependency is down, failing or slow, or PostgreSQL ended the transaction because of a concurrent one.
    """
    for seen in causes(error):
        if isinstance(seen, AppError):
            return seen.kind is Kind.UNAVAILABLE
        if isinstance(seen, asyncpg.InterfaceError) and isinstance(seen, ValueError):
            # A value that the driver can't encode, for example a number out of range.
            return False
        if isinstance(seen, _CONNECTION_ERRORS) or sql_class(seen) in _SERVER_CLASSES:
            return True
        if getattr(seen, "server_source_filename", None) in _TRANSACTION_IDS:
            return True
        # What SQLAlchemy says of a lost connection, in a migration. To import its class would slow each start down.
        if getattr(seen, "connection_invalidated", False):
            return True
    return False


def is_without_effect(error: BaseException) -> bool:
    """Return whether a statement outside a transaction has surely done nothing and can be made again at once.

    PostgreSQL refused it, or ended it for the sake of a concurrent one, or the driver could not encode its values.
    Nobody knows when the connection broke or no answer came in time; and a server that fails would fail again.
    """
    if isinstance(error, asyncpg.PostgresError):
        return sql_class(error) not in _SERVER_CLASSES - {"40"}
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def certificate_problem(error: BaseException) -> str | None:
    """Say what is wrong with a server's certificate, if the error is about one: its authority, its name, its dates."""
    refused = (seen for seen in causes(error) if isinstance(seen, ssl.SSLCertVerificationError))
    return next((f"its certificate is refused: {seen.verify_message.rstrip('.')}" for seen in refused), None)


def is_schema_change(error: BaseException) -> bool:
    """Return whether a migration has ended the transaction, so that it can be run again at once."""
    return any(isinstance(seen, SCHEMA_CHANGED) for seen in causes(error))


def sql_class(error: BaseException) -> str | None:
    """Return the first two characters of the SQLSTATE of an error that PostgreSQL answered, else None."""
    return (error.sqlstate or "")[:2] if isinstance(error, asyncpg.PostgresError) else None
