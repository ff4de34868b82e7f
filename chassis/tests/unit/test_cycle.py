"""What Cycle writes is what uvicorn would write, whatever the application sends."""

import asyncio
import logging
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from chassis.http.cycle import Cycle

DATE = (b"date", b"Sat, 28 Nov 2026 00:00:00 GMT")
CLOSE = (b"connection", b"close")
NAMES = st.sampled_from([b"content-type", b"Content-Type", b"x-request-id", b"x-other", b"bad name", b"connection"])
VALUES = st.sampled_from([b"text/plain", b"a\tb", b"\xe4", b"a\r\nset-cookie: b", b"\x00", b"\x7f", b"close"])
BODIES = st.lists(st.binary(max_size=3), min_size=1, max_size=3)
LENGTHS = st.sampled_from(["right", "wrong", "twice", "not a number", "none", "chunked"])


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def cycle_of(kind: type[RequestResponseCycle], method: str, **options: Any) -> tuple[Any, Transport, list[str]]:
    transport, completed = Transport(), list[str]()
    log = logging.getLogger("test")
    cycle = kind(
        scope=cast(Any, {"type": "http", "method": method, "http_version": "1.1"}),
        transport=transport,
        flow=FlowControl(transport),
        logger=log,
        access_logger=log,
        access_log=False,
        default_headers=options.get("default", [DATE]),
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=options.get("keep_alive", True),
        on_response=lambda: completed.append("response"),
    )
    return cycle, transport, completed


def messages(status: int, headers: list[tuple[bytes, bytes]], bodies: list[bytes], length: str) -> list[Any]:
    size = len(b"".join(bodies))
    by_form = {
        "right": [(b"content-length", b"%d" % size)],
        "wrong": [(b"content-length", b"%d" % (size + 1))],
        "twice": [(b"content-length", b"%d" % size), (b"content-length", b"%d" % (size + 1))],
        "not a number": [(b"content-length", b"many")],
        "none": [],
        "chunked": [(b"transfer-encoding", b"chunked")],
    }
    start = {"type": "http.response.start", "status": status, "headers": [*headers, *by_form[length]]}
    last = len(bodies) - 1
    pieces = [{"type": "http.response.body", "body": body, "more_body": i < last} for i, body in enumerate(bodies)]
    return [start, *pieces]


async def outcome(kind: type[RequestResponseCycle], method: str, sent: list[Any], **options: Any) -> tuple[Any, ...]:
    cycle, transport, completed = cycle_of(kind, method, **options)
    failed = ""
    try:
        for message in sent:
            await cycle.send(message)
    except (RuntimeError, ValueError) as error:
        failed = str(error)
    return b"".join(transport.written), transport.closed, completed, failed, cycle.keep_alive, cycle.response_complete


@given(
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    status=st.sampled_from([200, 204, 304, 404, 503]),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=3),
    bodies=BODIES,
    length=LENGTHS,
    default=st.sampled_from([[DATE], [DATE, CLOSE], []]),
    keep_alive=st.booleans(),
)
def test_an_answer_is_written_as_uvicorn_writes_it(
    method: str, status: int, headers: list[Any], bodies: list[bytes], length: str, default: list[Any], keep_alive: bool
) -> None:
    sent = messages(status, headers, bodies, length)
    options = {"default": default, "keep_alive": keep_alive}
    own = asyncio.run(outcome(Cycle, method, sent, **options))
    assert own == asyncio.run(outcome(RequestResponseCycle, method, sent, **options))


async def test_an_answer_in_one_piece_is_one_write_and_no_head_goes_out_before_its_body() -> None:
    cycle, transport, completed = cycle_of(Cycle, "GET")
    start, body = messages(200, [(b"content-type", b"application/json")], [b"{}"], "right")
    await cycle.send(start)
    assert transport.written == []
    await cycle.send(body)
    assert len(transport.written) == 1
    assert completed == ["response"]


async def test_an_answer_waits_for_a_client_that_does_not_read() -> None:
    cycle, transport, completed = cycle_of(Cycle, "GET")
    cycle.flow.pause_writing()
    for message in messages(200, [], [b"a"], "right")[:1]:
        await cycle.send(message)
    sending = asyncio.create_task(cycle.send(messages(200, [], [b"a"], "right")[1]))
    for _ in range(3):
        await asyncio.sleep(0)
    assert (transport.written, completed) == ([], [])
    cycle.flow.resume_writing()
    await sending
    assert completed == ["response"]


async def test_nothing_is_written_to_a_client_that_is_gone() -> None:
    cycle, transport, completed = cycle_of(Cycle, "GET")
    start, body = messages(200, [], [b"a"], "right")
    await cycle.send(start)
    cycle.disconnected = True
    await cycle.send(body)
    assert (transport.written, completed) == ([], [])


FIELDS = b"content-type: application/json\r\nx-request-id: 17\r\n"


@given(
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    body=st.binary(max_size=3),
    default=st.sampled_from([[DATE], [DATE, CLOSE], []]),
    keep_alive=st.booleans(),
    gone=st.booleans(),
)
def test_a_json_answer_is_written_as_uvicorn_writes_it_or_left_to_send(
    method: str, body: bytes, default: list[Any], keep_alive: bool, gone: bool
) -> None:
    async def write() -> None:
        cycle, transport, completed = cycle_of(Cycle, method, default=default, keep_alive=keep_alive)
        cycle.disconnected = gone
        done = cycle.write_json(body, FIELDS)
        assert done == (method != "HEAD" and keep_alive and CLOSE not in default and not gone)
        if not done:
            assert (transport.written, completed, cycle.response_started) == ([], [], False)
            return
        fields = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        sent = messages(200, [*fields, (b"x-request-id", b"17")], [body], "none")
        expected = await outcome(RequestResponseCycle, method, sent, default=default, keep_alive=keep_alive)
        written = b"".join(transport.written)
        assert (written, transport.closed, completed, "", cycle.keep_alive, cycle.response_complete) == expected
        assert not cycle.write_json(body, FIELDS), "a second answer was written"

    asyncio.run(write())


async def test_a_json_answer_does_not_pass_one_that_the_client_has_not_taken() -> None:
    cycle, transport, completed = cycle_of(Cycle, "GET")
    cycle.flow.pause_writing()
    assert not cycle.write_json(b"{}", FIELDS)
    assert (transport.written, completed) == ([], [])
