"""The load: how requests are written out, and what is read of wrk's output."""

import json
import re

import pytest

from bench.speed.errors import Unmeasured
from bench.speed.load import MARKER, SCRIPT, http_request, read_answers

SOUND = {
    "answers": 1000,
    "seconds": 2.0,
    "refused": 0,
    "broken": 0,
    "late": 0,
    "p50_us": 1500,
    "p90_us": 2000,
    "p99_us": 9000,
    "max_us": 9500,
    "statuses": {},
}


def output(**changes: object) -> str:
    return f"Running 2s test\n  1 threads\nRESULT {json.dumps(SOUND | changes)}\n"


def test_rate_and_times_are_read() -> None:
    assert read_answers(output()).figures() == {"rate": 500.0, "p50_ms": 1.5, "p99_ms": 9.0}


def test_refused_requests_do_not_count_in_the_rate() -> None:
    answers = read_answers(output(refused=10))
    assert (answers.rate, answers.bad) == (495.0, 10)


@pytest.mark.parametrize("what", ["refused", "broken", "late"])
def test_a_load_with_more_than_one_percent_failures_is_no_measurement(what: str) -> None:
    assert read_answers(output(**{what: 10})).bad == 10
    with pytest.raises(Unmeasured, match=f"11 {what}"):
        read_answers(output(**{what: 11}))


def test_a_load_without_a_good_answer_is_no_measurement() -> None:
    with pytest.raises(Unmeasured, match="of 0 answers"):
        read_answers(output(answers=0))


def test_what_wrk_says_instead_of_a_result_is_told() -> None:
    with pytest.raises(Unmeasured, match="unable to connect"):
        read_answers("", "unable to connect to 127.0.0.1:1 Connection refused")


def test_a_request_is_written_out_with_the_length_of_its_body() -> None:
    request = http_request("POST", "/v1/login", {"x-a": "b"}, b"{}")
    assert request == (
        b"POST /v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nx-a: b\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert b"Content-Length" not in http_request("GET", "/ping")


def test_the_marker_of_a_number_is_the_one_that_the_script_replaces_and_as_long_as_the_number() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    found = re.search(r'MARKER = "(@+)"', script)
    assert found is not None
    assert found[1].encode() == MARKER
    assert f"%0{len(MARKER)}d" in script
