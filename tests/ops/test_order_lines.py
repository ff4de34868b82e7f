"""The log lines of an order, from files and from a store that stands in for VictoriaLogs."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

from fc.ops import log_files, order_lines
from fc.ops.order_lines import Wanted

SINCE = datetime(2026, 11, 28, 6, 11, tzinfo=UTC)
TRACE = "1" * 32
LINE = {
    "timestamp": "2026-11-28T06:11:50.198156Z",
    "level": "info",
    "service": "orderfc",
    "event": "order placed",
    "logger": "orderfc.usecase.checkout",
    "span_id": "2" * 16,
}
OF_STORE = {"_time": LINE["timestamp"], "_msg": "order placed", "_stream": "{}", "service.name": "orderfc"}


class Store(ThreadingHTTPServer):
    """Answers each query with `records`, and keeps the queries in `asked`."""

    def __init__(self) -> None:
        self.records: list[dict[str, str]] = []
        self.asked: list[dict[str, list[str]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_POST(self) -> None:
        self.server.asked.append(parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()))
        body = "".join(json.dumps(record) + "\n" for record in self.server.records).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Suppress the access log."""


@pytest.fixture
def store() -> Iterator[Store]:
    server = Store()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the logs of a local stack."""
    monkeypatch.setenv("FC_NATIVE", "1")
    monkeypatch.setenv("FC_HOME", str(tmp_path))
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def write(path: Path, *lines: dict[str, Any]) -> None:
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


@pytest.mark.parametrize(
    ("fields", "is_wanted"),
    [
        ({"order_id": 7}, True),
        ({"order_id": 71}, False),
        ({"order_id": 17}, False),
        ({"key": "order-7"}, True),
        ({"key": "order-71"}, False),
        ({"external_id": "order-7"}, True),
        ({"trace_id": TRACE}, True),
        ({"trace_id": "2" * 32}, False),
        ({"path": "/v1/orders/7"}, False),
        ({"note": "order-7"}, False),
    ],
)
def test_the_lines_of_an_order_have_its_id_its_key_or_its_trace(
    logs: Path, fields: dict[str, Any], is_wanted: bool
) -> None:
    write(logs / "orderfc.log", LINE | fields)
    found = order_lines.find(Wanted(7, {TRACE}, SINCE), 10, None)
    assert found.lines == ([LINE | fields] if is_wanted else [])
    assert (found.sources, found.notes) == (["files"], [])


def test_the_last_lines_of_all_services_come_in_order_of_time(logs: Path) -> None:
    for name, seconds in (("orderfc", (1, 4)), ("paymentfc", (2, 3))):
        times = [f"2026-11-28T06:11:0{second}.000000Z" for second in seconds]
        write(logs / f"{name}.log", *(LINE | {"service": name, "order_id": 7, "timestamp": time} for time in times))
    found = order_lines.find(Wanted(7, set(), SINCE), 3, None)
    assert [line["timestamp"][17:19] for line in found.lines] == ["02", "03", "04"]
    assert order_lines.find(Wanted(7, set(), SINCE), 0, None).lines == []


def test_a_line_that_the_store_has_too_is_shown_once_and_one_that_was_removed_here_is_shown(
    logs: Path, store: Store
) -> None:
    write(logs / "orderfc.log", LINE | {"order_id": 7})
    same = OF_STORE | {
        "order_id": "7",
        "logger": LINE["logger"],
        "span_id": LINE["span_id"],
        "severity_text": "info",
        "scope.name": "x",
    }
    store.records = [same, same | {"_time": "2026-11-28T06:11:49Z", "_msg": "older"}]
    found = order_lines.find(Wanted(7, {TRACE}, SINCE), 10, store.url)
    assert [line["event"] for line in found.lines] == ["older", "order placed"]
    assert found.lines[1] == LINE | {"order_id": 7}
    assert found.lines[0] == {
        "timestamp": "2026-11-28T06:11:49.000000Z",
        "event": "older",
        "service": "orderfc",
        "order_id": "7",
        "logger": LINE["logger"],
        "span_id": LINE["span_id"],
    }
    assert found.sources == ["files", "VictoriaLogs"]
    [asked] = store.asked
    assert asked["query"] == [f'order_id:="7" OR key:="order-7" OR trace_id:in({TRACE})']
    assert asked["start"] == [SINCE.isoformat()]


def test_a_store_that_does_not_answer_is_said(logs: Path) -> None:
    write(logs / "orderfc.log", LINE | {"order_id": 7})
    found = order_lines.find(Wanted(7, set(), SINCE), 10, "http://127.0.0.1:1")
    assert len(found.lines) == 1
    [note] = found.notes
    assert note.startswith("without the lines of VictoriaLogs: ")


def test_text_between_the_lines_is_passed_over(logs: Path) -> None:
    text = b'"order_id":7\n{"order_id":7}\n["order_id", 7]\n\xff"order_id":7\n'
    (logs / "orderfc.log").write_bytes(text)
    assert order_lines.find(Wanted(7, set(), SINCE), 10, None).lines == []


def test_a_log_is_read_across_its_rotation(tmp_path: Path) -> None:
    log = tmp_path / "orderfc.log"
    assert list(log_files.lines(log)) == []
    log.write_bytes(b"{1}\n{2}")
    assert list(log_files.lines(log)) == [b"{1}", b"{2}"]
    log.with_name("orderfc.log.1").write_bytes(b"rest of a removed line\n{-1}\n{")
    log.write_bytes(b"0}\n{1}\n")
    assert list(log_files.lines(log)) == [b"{-1}", b"{0}", b"{1}"]
