"""The load: wrk with `load.lua`, which sends requests that were written out beforehand."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.speed.errors import Unmeasured

SCRIPT = Path(__file__).with_name("load.lua")
MARKER = b"@@@@@@@@@@@@@@@@"
"""In a request it stands for a number that differs in each."""
TIMEOUT_S = 10
# What a count of requests may take.
COUNT_LIMIT_S = 180
# Beyond this share of refused or broken requests the rest says nothing.
BAD_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of a load: the good answers, those that were refused (400 and above), broken or late; and times."""

    good: int
    bad: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.good / self.seconds

    def figures(self) -> dict[str, float]:
        return {"rate": self.rate, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms}


def http_request(method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """Write out a request to a service on this machine."""
    fields = {"Host": "127.0.0.1", **(headers or {})}
    if body:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def wrk(
    port: int, requests: Iterable[bytes], connections: int, *, seconds: float = 0, count: int = 0, pause_ms: int = 0
) -> Answers:
    """Send the requests in turn for so many seconds, or `count` of them. Raises Unmeasured when too many go wrong."""
    with running(port, requests, connections, seconds=seconds, count=count, pause_ms=pause_ms) as load:
        return load.answers()


@dataclass
class Load:
    """A wrk that runs."""

    process: subprocess.Popen[str]
    file: Path
    limit_s: float

    def answers(self) -> Answers:
        """Wait for its end. Raises Unmeasured."""
        try:
            output, problems = self.process.communicate(timeout=self.limit_s)
        except subprocess.TimeoutExpired:
            raise Unmeasured(f"wrk did not end within {self.limit_s:.0f} s") from None
        return read_answers(output, problems)

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.file.unlink(missing_ok=True)


def running(
    port: int, requests: Iterable[bytes], connections: int, *, seconds: float = 0, count: int = 0, pause_ms: int = 0
) -> Load:
    """Start a load without waiting for it."""
    program = shutil.which("wrk")
    if program is None:
        raise Unmeasured("wrk is not installed: make tools")
    limit_s = COUNT_LIMIT_S if count else seconds
    with tempfile.NamedTemporaryFile("wb", prefix="bench-requests-", delete=False) as file:
        for request in requests:
            file.write(b"%d\n%s" % (len(request), request))
    # wrk takes whole seconds.
    duration = max(round(limit_s), 1)
    command = [program, "-t1", f"-c{connections}", f"-d{duration}s", "--timeout", f"{TIMEOUT_S}s", "-s", str(SCRIPT)]
    command += [f"http://127.0.0.1:{port}", "--", file.name, str(count), str(pause_ms), str(int(time.time() * 1e5))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return Load(process, Path(file.name), duration + TIMEOUT_S + 15)


def read_answers(output: str, problems: str = "") -> Answers:
    """Read what the script has printed. Raises Unmeasured when it has not, or more than a hundredth went wrong."""
    line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise Unmeasured(f"wrk gave no result: {(problems or output).strip()[-300:]}")
    found = json.loads(line.removeprefix("RESULT "))
    bad = found["refused"] + found["broken"] + found["late"]
    # A request that broke or was late has no answer, so only refusals are among the answers.
    good = found["answers"] - found["refused"]
    if good <= 0 or bad > BAD_SHARE * found["answers"]:
        counts = ", ".join(f"{found[name]} {name}" for name in ("refused", "broken", "late"))
        raise Unmeasured(f"of {found['answers']} answers: {counts} {found['statuses'] or ''}".rstrip())
    return Answers(good, bad, found["seconds"], found["p50_us"] / 1000, found["p99_us"] / 1000)
