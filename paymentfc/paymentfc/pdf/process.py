"""The process beside the service in which invoices are drawn (`python -m paymentfc.pdf`)."""

import asyncio
import contextlib
import os
import sys
from subprocess import PIPE, Popen
from typing import IO

from paymentfc.errors import DrawingFailed, DrawingUnavailable

# The typesetter's threads would take every core, and their heaps stay.
_LIMITS = {"RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "RUST_BACKTRACE": "0"}


class DrawingProcess:
    """One process, started with the first drawing and again after its end; it makes one drawing at a time."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._process: Popen[bytes] | None = None

    async def draw(self, contents: bytes) -> bytes:
        """Raises DrawingUnavailable when the process is too slow or dies, DrawingFailed when it can't draw this."""
        async with self._turn:
            try:
                async with asyncio.timeout(self.timeout_s):
                    failed, answer = await self._answer(contents)
            except TimeoutError:
                raise DrawingUnavailable(f"the invoice was not drawn within {self.timeout_s:g} s") from None
        if failed:
            raise DrawingFailed(answer.decode(errors="replace"))
        return answer

    async def close(self) -> None:
        """End the process; a drawing that is under way fails."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await asyncio.to_thread(_reap, process)

    async def _answer(self, contents: bytes) -> tuple[bool, bytes]:
        for _ in range(2):
            if self._process is None:
                self._process = _start()
            try:
                return await asyncio.to_thread(_exchange, self._process, contents)
            except OSError:
                # It had ended before it was asked, or it dies of this drawing.
                await self.close()
            except asyncio.CancelledError:
                # Its answer would be taken for that of the next drawing. The thread ends with the process.
                await self.close()
                raise
        raise DrawingUnavailable("the process that draws invoices has ended")


def _start() -> Popen[bytes]:
    """Start the process without the service's environment, which has its secrets."""
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("PYTHON")}
    command = [sys.executable, "-m", "paymentfc.pdf"]
    # In a session of its own: the signals of a terminal are the service's. S603: the command is fixed.
    return Popen(command, stdin=PIPE, stdout=PIPE, env=kept | _LIMITS, start_new_session=True)  # noqa: S603


def _exchange(process: Popen[bytes], contents: bytes) -> tuple[bool, bytes]:
    """Send one message; return whether its answer is an error, and its bytes. Raises OSError when the process ends."""
    target, source = _pipes(process)
    target.write(len(contents).to_bytes(4, "big") + contents)
    target.flush()
    head = source.read(5)
    answer = source.read(int.from_bytes(head[:4], "big"))
    if len(head) < 5 or len(answer) < int.from_bytes(head[:4], "big"):
        raise BrokenPipeError
    return bool(head[4]), answer


def _pipes(process: Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError
    return process.stdin, process.stdout


def _reap(process: Popen[bytes]) -> None:
    process.wait()
    for pipe in _pipes(process):
        with contextlib.suppress(OSError):
            pipe.close()
