"""Who is to blame for a failed message decides whether it can be lost to the dead letter topic."""

import time
from typing import Any

import asyncpg
import pytest
from sqlalchemy import exc as sa_exc

from chassis.errors import Conflict, InvalidMessage, NotYet, Unavailable, is_transient, is_without_effect
from chassis.events import Message
from chassis.kafka.retry import Attempt, Verdict, is_outage
from chassis.kafka.work_time import MAX_STEP_S, WorkTime


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def by_sqlalchemy(cause: Exception) -> Exception:
    """Wrap a driver's error as SQLAlchemy does: in `orig`, whose cause is asyncpg's error."""
    return sa_exc.DBAPIError("SELECT 1", {}, caused_by(RuntimeError("adapted"), cause))


class EncodingError(asyncpg.InterfaceError, ValueError):
    """What asyncpg raises for a value that it can't encode; its own class has no public name."""


DATABASE = asyncpg.exceptions


def answered(sqlstate: str, message: str, source: str) -> asyncpg.PostgresError:
    """Make the error of an answer of PostgreSQL that names a file of its source."""
    fields = {"S": "ERROR", "V": "ERROR", "C": sqlstate, "M": message, "F": source}
    return asyncpg.PostgresError.new(fields)


TRANSACTION_IDS = answered("54000", "database is not accepting commands to avoid wraparound data loss", "varsup.c")
TOO_LARGE = answered("54000", "index row size 3000 exceeds btree version 4 maximum 2704", "nbtutils.c")


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
        (DATABASE.TransactionTimeoutError("x"), True),
        (DATABASE.SequenceGeneratorLimitExceededError("x"), True),
        (TRANSACTION_IDS, True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (DATABASE.NumericValueOutOfRangeError("x"), False),
        (DATABASE.UniqueViolationError("x"), False),
        (DATABASE.CheckViolationError("x"), False),
        (DATABASE.ProgramLimitExceededError("x"), False),
        (TOO_LARGE, False),
        (EncodingError("value out of int32 range"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_database_blames_the_message_for_its_values_only(error: Exception, outage: bool, wrap: object) -> None:
    assert callable(wrap)
    assert is_outage(wrap(error)) is outage


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (DATABASE.InvalidPasswordError("a role that has another password by now"), True),
        (DATABASE.InvalidAuthorizationSpecificationError("no pg_hba.conf entry"), True),
        (DATABASE.InvalidCatalogNameError("a server without our database"), True),
        (DATABASE.DeadlockDetectedError("x"), True),
        (DATABASE.SerializationError("a replica's conflict with recovery"), True),
        (DATABASE.LockNotAvailableError("x"), True),
        (DATABASE.TransactionTimeoutError("x"), True),
        (DATABASE.SequenceGeneratorLimitExceededError("x"), True),
        (TRANSACTION_IDS, True),
        (TOO_LARGE, False),
        (DATABASE.UniqueViolationError("x"), False),
        (DATABASE.PostgresSyntaxError("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_requests_loops_and_the_relay_wait_for_a_server_that_can_not_serve_now(error: Exception, later: bool) -> None:
    assert is_transient(error) is later
    assert is_transient(by_sqlalchemy(error)) is later


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


NO_OFFSETS: Any = None


def attempt() -> Attempt:
    return Attempt(Message.received("t", 0, 1, b"k", b"{}"), NO_OFFSETS)


def test_a_message_that_stays_early_is_given_up_when_its_time_since_its_arrival_is_over() -> None:
    tried, waited, runs = attempt(), 0.0, 0
    while True:
        verdict = tried.failed(NotYet("order 1"), waited, max_tries=3, not_yet_s=30)
        runs += 1
        if verdict.dead_letter:
            break
        waited += verdict.retry_after
    assert (verdict, tried.tries) == (Verdict(dead_letter="not_yet"), runs)
    assert waited == pytest.approx(30)
    assert runs >= 8


def test_a_message_that_waited_behind_another_is_early_since_its_arrival() -> None:
    queued = Attempt(Message.received("t", 0, 1, b"k", b"{}"), NO_OFFSETS, arrived=100)
    assert queued.failed(NotYet("order 1"), 129.9, max_tries=3, not_yet_s=30).dead_letter is None
    assert queued.failed(NotYet("order 1"), 130, max_tries=3, not_yet_s=30).dead_letter == "not_yet"


def test_time_that_the_process_was_paused_or_a_dependency_away_is_no_time_to_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    work = WorkTime()
    clock[0] += 4
    assert work.now() == 4
    clock[0] += 3600
    assert work.now() == 4 + MAX_STEP_S
    clock[0] += 5
    work.skip()
    clock[0] += 1
    assert work.now() == 4 + MAX_STEP_S + 1


def test_having_been_early_costs_a_message_none_of_its_tries() -> None:
    tried = attempt()
    for _ in range(5):
        tried.failed(NotYet("order 1"), 0, max_tries=3, not_yet_s=30)
    reasons = [tried.failed(ValueError("cannot"), 0, max_tries=3, not_yet_s=30).dead_letter for _ in range(3)]
    assert reasons == [None, None, "handler_failed"]
    assert tried.tries == 8


@pytest.mark.parametrize(
    ("error", "certain"),
    [
        (DATABASE.NumericValueOutOfRangeError("x"), True),
        (DATABASE.CharacterNotInRepertoireError("x"), True),
        (DATABASE.CheckViolationError("x"), True),
        (DATABASE.CardinalityViolationError("x"), True),
        (DATABASE.DeadlockDetectedError("x"), True),
        (EncodingError("value out of int32 range"), True),
        (DATABASE.QueryCanceledError("a statement that took too long"), False),
        (DATABASE.AdminShutdownError("x"), False),
        (DATABASE.ConnectionDoesNotExistError("closed in the middle of the operation"), False),
        (DATABASE.OutOfMemoryError("x"), False),
        (DATABASE.OutdatedSchemaCacheError("the rows can't be read"), False),
        (asyncpg.InterfaceError("connection is closed"), False),
        (ConnectionResetError(), False),
        (TimeoutError(), False),
        (ValueError("a defect of ours"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_only_a_statement_that_was_refused_has_surely_done_nothing(error: Exception, certain: bool) -> None:
    assert is_without_effect(error) is certain
