"""The clock is the machine's unless it follows a file; a change of the file is seen at once and wakes what waits."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis import clock
from chassis.auth.tokens import LEEWAY_S, LIFETIME_S, TokenVerifier, encode_token
from chassis.errors import Unauthenticated
from chassis.loops import ClockWatch, Loop

SECRET = "a-secret-of-tests-that-is-long-enough-0123"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Follow a file for the test."""
    path = tmp_path / "clock"
    path.write_bytes(clock.AHEAD.pack(0))
    clock.follow(str(path))
    yield path
    clock.follow("")


def set_ahead(file: Path, seconds: int) -> None:
    """Write as `fc clock` does: into the file that is mapped."""
    with file.open("r+b") as opened:
        opened.write(clock.AHEAD.pack(seconds))


def test_the_clock_without_a_file_is_the_machines_and_never_moves() -> None:
    assert clock.ahead_s() == 0
    assert abs(clock.time() - time.time()) < 1
    assert clock.moved() is None
    clock.notice()


def test_a_change_of_the_file_is_seen_at_once(file: Path) -> None:
    set_ahead(file, 86_400)
    assert abs(clock.time() - time.time() - 86_400) < 1
    assert abs(clock.now().timestamp() - time.time() - 86_400) < 1


def test_each_move_sets_the_event_of_those_who_wait_for_it_and_no_other(file: Path) -> None:
    first = clock.moved()
    assert first is not None
    clock.notice()
    assert not first.is_set()
    set_ahead(file, 5)
    clock.notice()
    second = clock.moved()
    assert second is not None
    assert (first.is_set(), second.is_set()) == (True, False)
    clock.notice()
    assert clock.moved() is second


async def test_a_move_wakes_a_loop_before_its_interval(file: Path) -> None:
    stop, runs = asyncio.Event(), []

    async def work() -> None:
        runs.append(clock.ahead_s())
        if len(runs) == 2:
            stop.set()
        else:
            set_ahead(file, 60)

    async with asyncio.timeout(5):
        await asyncio.gather(Loop("test", 3600, work).run(stop), ClockWatch().run(stop))
    assert runs == [0, 60]


def test_a_token_ends_by_the_clock_also_where_it_was_never_seen(file: Path) -> None:
    token = encode_token(SECRET, user_id=1, email="a@example.com", role="user")
    verifier = TokenVerifier(SECRET)
    assert verifier.decode(token).user_id == 1
    set_ahead(file, LIFETIME_S + LEEWAY_S + 1)
    for each in (verifier, TokenVerifier(SECRET)):
        with pytest.raises(Unauthenticated):
            each.decode(token)
    assert verifier.decode(encode_token(SECRET, user_id=2, email="", role="user")).user_id == 2


@pytest.mark.parametrize("content", [None, b"", b"1"])
def test_a_file_that_is_no_clock_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "clock"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="must be the file that `fc up` makes"):
        clock.check(str(path))


def test_a_setting_without_a_file_is_no_clock() -> None:
    assert clock.check("") == ""
