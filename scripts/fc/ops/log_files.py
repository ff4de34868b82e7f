"""The log files of a local stack, each read as one text although supervisord keeps the older half in a second file."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path


def lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of a log, the older file first; nothing for a log that does not exist.

    A line may begin in the older file and end in the newer one. What stands before the first line break of the older
    file is the end of a line that was removed: it is left out unless it begins as a line does.
    """
    rest = b""
    first = True
    for part in chain.from_iterable(map(_parts, (path.with_name(f"{path.name}.1"), path))):
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            if line.startswith(b"{") or not first:
                yield line
            first = False
    if rest:
        yield rest


def _parts(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                yield part
    except FileNotFoundError:
        return
