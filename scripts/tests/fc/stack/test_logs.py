"""`fc logs`: the last lines of several files, and what is added to them."""

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fc.stack import logs
from testkit import eventually


class Screen(io.StringIO):
    """What was printed, line by line; it becomes broken when a test wants the follower to end."""

    broken = False

    def flush(self) -> None:
        """End the follower, which flushes after each look at a file."""
        if self.broken:
            raise KeyboardInterrupt
        super().flush()

    def shown(self) -> list[str]:
        """Return the lines so far."""
        return self.getvalue().splitlines()


def last(path: Path, lines: int) -> list[str]:
    screen = Screen()
    logs.show({"orderfc": path}, lines=lines, follow=False, out=screen)
    return screen.shown()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "orderfc.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    return path


Follow = Callable[[dict[str, Path]], Screen]


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Follow]:
    """Follow files from their end in a thread; gives what is printed. Each file has been looked at once by then."""
    monkeypatch.setattr(logs, "POLL_S", 0.005)
    with contextlib.ExitStack() as stack:

        def start(files: dict[str, Path]) -> Screen:
            screen = Screen()
            begun = threading.Semaphore(0)
            flush = screen.flush

            def flushed() -> None:
                begun.release()
                flush()

            monkeypatch.setattr(screen, "flush", flushed)
            thread = threading.Thread(
                target=logs.show, args=(files,), kwargs={"lines": 0, "follow": True, "out": screen}
            )
            thread.start()

            def end() -> None:
                screen.broken = True
                thread.join(10)
                assert not thread.is_alive()

            stack.callback(end)
            for _ in files:
                assert begun.acquire(timeout=10)
            return screen

        yield start


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, ["three"]), (2, ["two", "three"]), (3, ["one", "two", "three"])]
)
def test_the_last_lines_are_shown_in_order(log: Path, count: int, expected: list[str]) -> None:
    assert last(log, count) == [f"orderfc | {line}" for line in expected]


def test_more_lines_than_there_are_shows_all(log: Path) -> None:
    assert len(last(log, 100)) == 3


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert last(tmp_path / "none.log", 10) == []


def test_a_line_that_is_still_being_written_is_not_shown(log: Path) -> None:
    add(log, b'{"half":')
    assert last(log, 1) == ["orderfc | three"]


def test_bytes_that_are_no_text_do_not_end_it(log: Path) -> None:
    add(log, b"\xff\xfe after\n")
    assert last(log, 1) == ["orderfc | \ufffd\ufffd after"]


def test_a_line_ends_with_a_line_feed_and_with_nothing_else(log: Path) -> None:
    add(log, "a\u2028b\x0cc\n".encode())
    screen = Screen()
    logs.show({"orderfc": log}, lines=1, follow=False, out=screen)
    assert screen.getvalue() == "orderfc | a\u2028b\x0cc\n"


def test_names_are_padded_so_that_the_lines_of_several_files_stand_below_each_other(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("redis", "productfc")}
    for name, path in files.items():
        path.write_text(f"hello from {name}\n")
    screen = Screen()
    logs.show(files, lines=5, follow=False, out=screen)
    assert screen.shown() == ["redis     | hello from redis", "productfc | hello from productfc"]


async def test_what_is_added_is_shown_once_and_what_was_there_is_not(log: Path, follow: Follow) -> None:
    screen = follow({"orderfc": log})
    add(log, b"four\n")
    await eventually(lambda: screen.shown() == ["orderfc | four"])
    add(log, b"five\nsix\n")
    await eventually(lambda: screen.shown() == ["orderfc | four", "orderfc | five", "orderfc | six"])


async def test_a_line_that_arrives_in_pieces_is_shown_when_it_is_whole(log: Path, follow: Follow) -> None:
    other = log.with_name("other.log")
    screen = follow({"orderfc": log, "other": other})
    add(log, b'{"name":"Caf')
    for number in range(3):
        add(other, b"tick\n")
        await eventually(lambda number=number: len(screen.shown()) == number + 1)
    assert screen.shown() == ["other   | tick"] * 3
    add(log, "é".encode()[:1])
    add(log, "é".encode()[1:] + b'"}\n')
    await eventually(lambda: screen.shown()[3:] == ['orderfc | {"name":"Café"}'])


async def test_a_file_that_appears_later_is_followed_from_its_beginning(tmp_path: Path, follow: Follow) -> None:
    screen = follow({"userfc": tmp_path / "userfc.log"})
    add(tmp_path / "userfc.log", b"hello\n")
    await eventually(lambda: screen.shown() == ["userfc | hello"])


async def test_no_line_is_lost_or_doubled_when_the_file_is_rotated(log: Path, follow: Follow) -> None:
    screen = follow({"orderfc": log})
    expected = []
    for turn in range(20):
        # Written just before the file is moved away, with a line that goes on in the new one.
        add(log, f"{turn} before\n{turn} spl".encode())
        log.rename(log.with_name("orderfc.log.1"))
        add(log, f"it\n{turn} after\n".encode())
        expected += [f"orderfc | {turn} {word}" for word in ("before", "split", "after")]
        await eventually(lambda turn=turn: len(screen.shown()) >= 3 * (turn + 1))
    assert screen.shown() == expected


async def test_what_is_written_between_a_look_at_the_file_and_its_rotation_is_not_lost(
    log: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = follow({"orderfc": log})
    stat = Path.stat
    turns = iter([True])

    def rotated_meanwhile(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path == log and next(turns, False):
            add(log, b"at the last moment\n")
            log.rename(log.with_name("orderfc.log.1"))
            add(log, b"in the new file\n")
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", rotated_meanwhile)
    await eventually(lambda: screen.shown() == ["orderfc | at the last moment", "orderfc | in the new file"])


async def test_a_file_that_was_emptied_is_followed_on(log: Path, follow: Follow) -> None:
    screen = follow({"orderfc": log})
    add(log, b"four\n")
    await eventually(lambda: screen.shown() == ["orderfc | four"])
    log.write_bytes(b"")
    add(log, b"new\n")
    await eventually(lambda: screen.shown() == ["orderfc | four", "orderfc | new"])
