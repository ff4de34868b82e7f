"""The process beside the service that draws: reads contents from its input, writes PDFs to its output.

Each message is its length in four bytes, big-endian, and its bytes. In an answer a byte stands between them: 0 for a
PDF, 1 for the text of an error. The process ends when its input ends, and when it has grown: what the typesetter keeps
of rare scripts and long invoices goes with it.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from paymentfc.pdf.typesetting import typeset

MAX_RESIDENT_BYTES = 96 << 20
NICENESS = 5


def main(source: BinaryIO, target: BinaryIO) -> None:
    """Answer each message until the input ends or the process has grown."""
    while head := source.read(4):
        contents = source.read(int.from_bytes(head, "big"))
        try:
            failed, answer = 0, typeset(contents)
        except Exception as error:
            failed, answer = 1, f"{type(error).__name__}: {error}".encode()
        target.write(len(answer).to_bytes(4, "big") + bytes([failed]) + answer)
        target.flush()
        if _resident() > MAX_RESIDENT_BYTES:
            return


def _resident() -> int:
    """Return the memory of this process in bytes; 0 where /proc does not tell."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The service answers others while this process draws.
    os.nice(NICENESS)
    with contextlib.suppress(BrokenPipeError):
        main(sys.stdin.buffer, sys.stdout.buffer)
