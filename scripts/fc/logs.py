"""`fc logs`: the end of several log files, and what is added to them, each line with its file's name before it."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

POLL_S = 0.2


def show(files: Mapping[str, Path], *, lines: int, follow: bool, out: TextIO = sys.stdout) -> None:
    """Print the last lines of each file; with `follow` go on until interrupted, across a file's rotation."""
    width = max((len(name) for name in files), default=0)
    places: dict[str, tuple[int, int]] = {}
    for name, path in files.items():
        text, places[name] = _read(path, (0, 0))
        wanted = text.splitlines()[-lines:] if lines else []
        _print(name, wanted, width, out)
    try:
        while follow:
            for name, path in files.items():
                text, places[name] = _read(path, places[name])
                _print(name, text.splitlines(), width, out)
            time.sleep(POLL_S)
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _print(name: str, lines: list[str], width: int, out: TextIO) -> None:
    for line in lines:
        out.write(f"{name:<{width}} | {line}\n")
    out.flush()


def _read(path: Path, place: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """Read whole lines from a place (inode, offset) on; a file with another inode is read from its beginning."""
    try:
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            offset = place[1] if place[0] == inode else 0
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return "", place
    whole = data[: data.rfind(b"\n") + 1]
    return whole.decode("utf-8", "replace"), (inode, offset + len(whole))
