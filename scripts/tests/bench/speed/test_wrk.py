"""wrk with the script of the bench: so many requests and no more, each with another number."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.speed.load import MARKER, http_request, wrk

pytestmark = pytest.mark.skipif(shutil.which("wrk") is None, reason="only make bench needs wrk: make tools")


@pytest.fixture
def server() -> Iterator[tuple[int, list[str]]]:
    """A server that notes the paths it is asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running.server_port, paths
        running.shutdown()
        thread.join()


def test_exactly_so_many_requests_are_sent_in_turn_each_with_a_number_of_its_own(
    server: tuple[int, list[str]],
) -> None:
    port, paths = server
    requests = [http_request("GET", f"/{name}/{MARKER.decode()}") for name in "ab"]
    answers = wrk(port, requests, 4, count=50)
    assert (answers.good, answers.bad) == (50, 0)
    assert len(paths) == len(set(paths)) == 50
    assert sum(path.startswith("/a/") for path in paths) == 25
    assert all(len(path) == len("/a/") + len(MARKER) for path in paths)
