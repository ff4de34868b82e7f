"""`fc logs`: the end of several log files and the lines added to them, each line after the name of its file."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, TextIO

POLL_S = 0.2


def show(files: Mapping[str, Path], *, lines: int, follow: bool, out: TextIO | None = None) -> None:
    """Print the last lines of each file; with `follow` go on until interrupted, across rotations of a file."""
    out = out or sys.stdout
    width = max((len(name) for name in files), default=0)
    tails = {name: _Tail(path) for name, path in files.items()}
    try:
        for name, tail in tails.items():
            existing = tail.read()
            _print(name, existing[max(0, len(existing) - lines) :], width, out)
        while follow:
            time.sleep(POLL_S)
            for name, tail in tails.items():
                _print(name, tail.read(), width, out)
    except KeyboardInterrupt:
        return
    finally:
        for tail in tails.values():
            tail.close()


def _print(name: str, lines: list[str], width: int, out: TextIO) -> None:
    for line in lines:
        out.write(f"{name:<{width}} | {line}\n")
    out.flush()


class _Tail:
    """Reads whole lines from a file that grows, is replaced by a new one, or is truncated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def read(self) -> list[str]:
        """Return the lines that were completed since the last call."""
        *whole, self._rest = (self._rest + self._added()).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]

    def _added(self) -> bytes:
        data = self._file.read() if self._file else b""
        try:
            status = self._path.stat()
            if self._file and os.path.samestat(status, os.fstat(self._file.fileno())):
                if status.st_size < self._file.tell():
                    self._file.seek(0)
                return data
            new = self._path.open("rb")
        except FileNotFoundError:
            return data
        # The file that was moved away is read to its end: its last line may continue in the new file.
        data += self._file.read() if self._file else b""
        self.close()
        self._file = new
        return data + new.read()

    def close(self) -> None:
        if self._file:
            self._file.close()
