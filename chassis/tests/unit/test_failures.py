"""Who is to blame for a failed message decides whether it can be lost to the dead letter topic."""

import asyncpg
import pytest
from sqlalchemy import exc as sa_exc

from chassis.errors import Conflict, InvalidMessage, NotYet, Unavailable
from chassis.events import Message
from chassis.kafka.retry import Attempt, Verdict, is_outage


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def by_sqlalchemy(cause: Exception) -> Exception:
    """Wrap a driver's error as SQLAlchemy does: in `orig`, whose cause is asyncpg's error."""
    return sa_exc.DBAPIError("SELECT 1", {}, caused_by(RuntimeError("adapted"), cause))


class EncodingError(asyncpg.InterfaceError, ValueError):
    """What asyncpg raises for a value that it can't encode; its own class has no public name."""


DATABASE = asyncpg.exceptions


@pytest.mark.parametrize("wrap", [lambda error: error, by_sqlalchemy], ids=["driver", "SQLAlchemy"])
@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (DATABASE.DiskFullError("x"), True),
        (DATABASE.OutOfMemoryError("x"), True),
        (DATABASE.TooManyConnectionsError("x"), True),
        (DATABASE.AdminShutdownError("x"), True),
        (DATABASE.PostgresIOError("x"), True),
        (DATABASE.IdleInTransactionSessionTimeoutError("x"), True),
        (DATABASE.ReadOnlySQLTransactionError("x"), True),
        (DATABASE.InvalidPasswordError("x"), True),
        (DATABASE.InvalidCatalogNameError("x"), True),
        (DATABASE.UndefinedTableError("x"), True),
        (DATABASE.UndefinedColumnError("x"), True),
        (DATABASE.InsufficientPrivilegeError("x"), True),
        (DATABASE.DeadlockDetectedError("x"), True),
        (DATABASE.SerializationError("x"), True),
        (DATABASE.LockNotAvailableError("x"), True),
        (DATABASE.InternalServerError("x"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (DATABASE.NumericValueOutOfRangeError("x"), False),
        (DATABASE.UniqueViolationError("x"), False),
        (DATABASE.CheckViolationError("x"), False),
        (EncodingError("value out of int32 range"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_database_blames_the_message_for_its_values_only(error: Exception, outage: bool, wrap: object) -> None:
    assert callable(wrap)
    assert is_outage(wrap(error)) is outage


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (Unavailable("userfc does not answer"), True),
        (Conflict("no"), False),
        (ValueError("a defect"), False),
        (caused_by(Conflict("no"), DATABASE.DiskFullError("x")), False),
        (caused_by(InvalidMessage("invalid_json", "no"), ConnectionRefusedError()), False),
        (caused_by(NotYet("no"), ConnectionRefusedError()), False),
    ],
    ids=repr,
)
def test_what_the_handler_says_goes_before_what_caused_it(error: Exception, outage: bool) -> None:
    assert is_outage(error) is outage


def attempt() -> Attempt:
    return Attempt(Message.received("t", 0, 1, b"k", b"{}"))


def test_a_message_is_early_for_the_seconds_that_it_waited_as_such() -> None:
    tried, waited, runs = attempt(), 0.0, 0
    while True:
        verdict = tried.failed(NotYet("order 1"), max_tries=3, not_yet_s=30)
        runs += 1
        if verdict.dead_letter:
            break
        waited += verdict.retry_after
    assert (verdict, tried.tries) == (Verdict(dead_letter="not_yet"), runs)
    assert 30 <= waited <= 35
    assert runs >= 8


def test_having_been_early_costs_a_message_none_of_its_tries() -> None:
    tried = attempt()
    for _ in range(5):
        tried.failed(NotYet("order 1"), max_tries=3, not_yet_s=30)
    reasons = [tried.failed(ValueError("cannot"), max_tries=3, not_yet_s=30).dead_letter for _ in range(3)]
    assert reasons == [None, None, "handler_failed"]
    assert dict(tried.dead_letter("handler_failed", ValueError("cannot"), "g.t"))["x-attempts"] == b"8"
