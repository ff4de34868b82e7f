"""What a process writes: one object a line, errors at once, and nothing lost when it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

START = """
import asyncio, logging as standard, os, signal, sys, warnings
import structlog
from chassis import logging
logging.setup("shopfc")
logging.setup("shopfc", "{level}")
log = structlog.get_logger("shopfc.basket")
"""


def lines_of(code: str, *, level: str = "INFO") -> list[dict[str, Any]]:
    """Run code in a process of its own and return the lines that it wrote."""
    ended = subprocess.run(
        [sys.executable, "-c", START.format(level=level) + code], capture_output=True, timeout=30, check=False
    )
    return [json.loads(line) for line in ended.stderr.splitlines()]


def test_a_line_has_its_fields_its_origin_its_level_and_its_time() -> None:
    [line] = lines_of("structlog.contextvars.bind_contextvars(request_id='r-1')\nlog.info('placed', order_id=7)")
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "placed",
        "order_id": 7,
        "request_id": "r-1",
        "service": "shopfc",
        "logger": "shopfc.basket",
        "level": "info",
    }


def test_the_standard_library_and_warnings_write_the_same_lines() -> None:
    code = "standard.getLogger('uvicorn.error').warning('bound to %s', 8080)\nwarnings.warn('old')\n"
    code += "standard.getLogger('aiokafka').info('chatter')"
    first, second = lines_of(code)
    assert (first["event"], first["logger"], first["level"]) == ("bound to 8080", "uvicorn.error", "warning")
    assert "old" in second["event"]


def test_lines_below_the_level_are_left_out() -> None:
    code = "log.debug('a'); log.info('b'); log.warning('c'); standard.getLogger('x').info('d')"
    assert [line["event"] for line in lines_of(code, level="WARNING")] == ["c"]


def test_a_failure_is_written_with_its_traceback() -> None:
    [line] = lines_of("try: 1 / 0\nexcept ZeroDivisionError: log.exception('failed')")
    assert (line["level"], "ZeroDivisionError: division by zero" in line["exception"]) == ("error", True)


@pytest.mark.parametrize("value", ["'\\ud800'", "10 ** 30", "{1: 2}", "ValueError('x')", "b'\\xff'", "object"])
def test_no_value_keeps_a_line_from_being_written(value: str) -> None:
    [line] = lines_of(f"log.info('odd', value={value})")
    assert line["event"] == "odd"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("", id="ends"),
        pytest.param("sys.exit(3)", id="exits"),
        pytest.param("raise RuntimeError", id="fails"),
        pytest.param("os.kill(os.getpid(), signal.SIGTERM)", id="is stopped"),
    ],
)
def test_lines_that_wait_are_written_when_the_process_ends(end: str) -> None:
    code = f"""
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
async def main():
    for number in range(100):
        log.info("line", number=number)
    {end or "pass"}
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", START.format(level="INFO") + code], capture_output=True, timeout=30)
    lines = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith(b"{")]
    assert [line["number"] for line in lines] == list(range(100))


def test_an_error_is_written_at_once_with_all_that_waits_and_in_order(tmp_path: Path) -> None:
    code = """
async def main():
    log.info("first")
    log.error("second")
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", START.format(level="INFO") + code], capture_output=True, timeout=30)
    assert ended.returncode == -signal.SIGKILL
    assert [json.loads(line)["event"] for line in ended.stderr.splitlines()] == ["first", "second"]


def test_lines_wait_for_a_tenth_of_a_second_and_no_longer() -> None:
    code = """
async def main():
    log.info("one"); log.info("two")
    assert len(writes) == 0
    while not writes: await asyncio.sleep(0.01)
    print(len(writes), writes[0].count(b"\\n"))
real, writes = os.write, []
os.write = lambda fd, data: writes.append(bytes(data)) or real(fd, data)
asyncio.run(asyncio.wait_for(main(), 5))
"""
    ended = subprocess.run([sys.executable, "-c", START.format(level="INFO") + code], capture_output=True, timeout=30)
    assert ended.stdout.split() == [b"1", b"2"]
    assert len(ended.stderr.splitlines()) == 2


def test_a_reader_that_is_gone_stops_no_process() -> None:
    code = "os.close(2)\nlog.error('unread')\nprint('alive')"
    ended = subprocess.run([sys.executable, "-c", START.format(level="INFO") + code], capture_output=True, timeout=30)
    assert ended.stdout.split() == [b"alive"]


def test_the_direct_line_is_the_line_of_a_logger() -> None:
    code = """
fields = {"path": "/v1/a\\u00e9", "status_code": 200, "duration_ms": 1.25}
log.info("request", **fields)
logging.direct.info("request", fields | {"logger": "shopfc.basket"})
"""
    by_logger, direct = (line | {"timestamp": line["timestamp"][-1:]} for line in lines_of(code))
    assert by_logger == direct


def test_the_line_of_a_step_is_that_of_a_logger_with_the_ids_of_its_request() -> None:
    code = """
from chassis import telemetry
given = logging.request_id.set("r-1")
with telemetry.tracing.span("GET"):
    structlog.get_logger("shopfc.basket").info("order placed", order_id=7, total_amount="1.50")
    logging.log_line("shopfc.basket", "order placed", order_id=7, total_amount="1.50")
logging.request_id.reset(given)
structlog.get_logger("shopfc.basket").info("order placed")
logging.log_line("shopfc.basket", "order placed")
"""
    shown = [line | {"timestamp": line["timestamp"][-1:]} for line in lines_of(code)]
    assert shown[::2] == shown[1::2]
    assert [line.get("request_id") for line in shown] == ["r-1", "r-1", None, None]
    assert ["span_id" in line for line in shown] == [True, True, False, False]


def test_the_direct_line_is_left_out_below_the_level() -> None:
    assert lines_of("logging.direct.info('request', {})", level="WARNING") == []


RECORD = """
from chassis.http.record import LOGGER, record_of
for path, request_id in (("/v1/a\\u00e9\\"\\\\", "r-1"), ("/v1/" + chr(0xd800), 'a"b\\\\c')):
    record_of("GET", "/v1/{a}", 200).log(path, 1234.5678, request_id, (0xa1, 0xb2))
    ids = {"request_id": request_id, "trace_id": f"{0xa1:032x}", "span_id": f"{0xb2:016x}"}
    same = {"method": "GET", "path": path, "route": "/v1/{a}", "status_code": 200, "duration_ms": 1234.57}
    structlog.get_logger(LOGGER).info("request", **same, **ids)
"""


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
def test_the_line_of_a_request_is_that_of_a_logger(level: str) -> None:
    lines = lines_of(RECORD, level=level)
    assert len(lines) == (0 if level == "WARNING" else 4)
    shown = [line | {"timestamp": line["timestamp"][-1:]} for line in lines]
    assert shown[::2] == shown[1::2]


@pytest.mark.parametrize(("level", "number"), [("DEBUG", 1), ("INFO", 0)])
def test_a_probe_leaves_its_line_at_level_debug_only(level: str, number: int) -> None:
    code = """
from chassis.http.record import record_of
if logging.direct.debug:
    record_of("GET", "/ping", 200).log_probe("/ping", 0.123)
"""
    lines = lines_of(code, level=level)
    assert [(line["route"], line["duration_ms"], line["level"]) for line in lines] == [
        ("/ping", 0.12, "debug")
    ] * number


def test_lines_of_several_processes_stay_whole_in_a_pipe_that_is_full() -> None:
    code = """
from chassis import log_lines
log_lines.lock_between_processes()
async def main(name):
    for number in range(4000):
        log.info("line", process=name, number=number, text="x" * 200)
children = []
for name in range(3):
    if not (child := os.fork()):
        asyncio.run(main(name))
        sys.exit()
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""
    seen: dict[int, list[int]] = {}
    with subprocess.Popen([sys.executable, "-c", START.format(level="INFO") + code], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for text in process.stderr:
            line = json.loads(text)
            seen.setdefault(line["process"], []).append(line["number"])
    assert seen == dict.fromkeys(range(3), list(range(4000)))
    assert process.returncode == 0
