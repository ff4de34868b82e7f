"""Log lines: found in files and stores, shown with personal data masked, and bounded."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.client import log_lines as client
from console.client.admin_api import NoAnswer
from console.client.log_lines import LogFiles, Loki, NoLogs, VictoriaLogs
from console.model.log_lines import Wanted, line_of, masked

from .browser import Browser

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
WEEK = NOW - timedelta(days=7)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HOSTILE = "<script>alert(1)</script>\"'&"
ORDER = Wanted(order_id=42)


def line(second: int = 0, service: str = "orderfc", event: str = "order placed", **fields: Any) -> dict[str, Any]:
    time = f"{NOW + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%fZ}"
    head = {"timestamp": time, "service": service, "level": "info", "event": event, "logger": service}
    return {**fields, **head}


def write(folder: Path, *lines: dict[str, Any], name: str = "orderfc.log") -> None:
    with (folder / name).open("a") as file:
        file.writelines(json.dumps(each, separators=(",", ":")) + "\n" for each in lines)


async def test_the_lines_of_an_order_are_found_in_all_files_by_id_and_by_key(tmp_path: Path) -> None:
    write(tmp_path, line(1, order_id=42), line(2, order_id=421), line(3, order_id=43, total="42"))
    write(tmp_path, line(0, "paymentfc", key="order-42"), line(4, "paymentfc", key="order-420"), name="paymentfc.log")
    write(tmp_path, line(5, "xendit", external_id="order-42"), name="xendit.log")
    write(tmp_path, line(6, "postgres", order_id=42), name="postgres.log")
    found = await LogFiles(tmp_path).find(ORDER, WEEK, 10)
    assert [each.service for each in found.lines] == ["paymentfc", "orderfc", "xendit"]
    assert not found.cut


async def test_a_trace_and_a_request_are_found_too(tmp_path: Path) -> None:
    write(tmp_path, line(1, trace_id=TRACE, request_id="r-1"), line(2, trace_id="0" * 32, request_id="r-2"))
    for wanted in (Wanted(trace_id=TRACE), Wanted(request_id="r-1")):
        found = await LogFiles(tmp_path).find(wanted, WEEK, 10)
        assert [dict(each.fields)["request_id"] for each in found.lines] == ["r-1"]


async def test_the_older_half_of_a_log_is_read_and_the_oldest_lines_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, *(line(second, order_id=42) for second in range(5)), name="orderfc.log.1")
    write(tmp_path, *(line(second, order_id=42) for second in range(5, 9)))
    found = await LogFiles(tmp_path).find(ORDER, WEEK, 7)
    assert ([each.at.second for each in found.lines], found.cut) == ([2, 3, 4, 5, 6, 7, 8], True)


async def test_reading_ends_at_its_bound_and_at_the_time_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BLOCK_BYTES", 1_000)
    write(tmp_path, *(line(second, order_id=42) for second in range(60)))
    bounded = await LogFiles(tmp_path, max_bytes=3_000).find(ORDER, WEEK, 100)
    assert bounded.cut
    assert 10 < len(bounded.lines) < 40
    assert bounded.lines[-1].at.second == 59
    recent = await LogFiles(tmp_path).find(ORDER, NOW + timedelta(seconds=50), 100)
    assert 10 <= len(recent.lines) < 30
    assert not recent.cut


CONTENT = st.lists(
    st.one_of(
        st.integers(0, 2).map(lambda order: json.dumps(line(order_id=order))),
        st.text(st.characters(blacklist_characters="\n", codec="utf-8"), max_size=30),
        st.sampled_from(['{"order_id":1', "[]", '"order-1"', '{"order_id":1}']),
    ),
    max_size=30,
)


@given(CONTENT, st.integers(1, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_reading_backwards_finds_what_reading_forwards_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: list[str], block: int
) -> None:
    monkeypatch.setattr(client, "BLOCK_BYTES", block)
    (tmp_path / "orderfc.log").write_text("\n".join(content), encoding="utf-8")
    wanted = Wanted(order_id=1)
    expected = [each for each in content if '"order_id": 1,' in each]
    found = LogFiles(tmp_path)._find(wanted, WEEK, 100)
    assert len(found.lines) == len(expected)


async def test_without_a_log_the_reason_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer, match="no log of a service"):
        await LogFiles(tmp_path).find(ORDER, WEEK, 10)


def asking(answer: httpx2.Response, asked: list[httpx2.Request]) -> httpx2.AsyncClient:
    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return answer

    return httpx2.AsyncClient(transport=httpx2.MockTransport(handle))


async def test_victorialogs_is_asked_by_logsql_and_its_names_become_ours() -> None:
    record = {"_time": "2026-11-28T09:30:01.5Z", "_msg": "order placed", "service.name": "orderfc", "level": "info"}
    record |= {"order_id": "42", "_stream": "{}", "severity_text": "info", "email": "a@example.com"}
    asked: list[httpx2.Request] = []
    async with asking(httpx2.Response(200, text=json.dumps(record) + "\n"), asked) as http:
        found = await VictoriaLogs(http, "http://logs/").find(ORDER, WEEK, 10)
    form = parse_qs(asked[0].content.decode())
    assert form["query"] == ['order_id:="42" OR key:="order-42" OR external_id:="order-42"']
    assert (form["limit"], form["start"]) == (["10"], [WEEK.isoformat()])
    [shown] = found.lines
    assert (shown.service, shown.event, shown.fields) == (
        "orderfc",
        "order placed",
        (("email", "****"), ("order_id", "42")),
    )


# As Loki answers `query_range`: made by hand from its documentation, no Loki has been asked.
ANSWER = {
    "status": "success",
    "data": {
        "resultType": "streams",
        "result": [
            {
                "stream": {"service_name": "orderfc", "detected_level": "info", "order_id": "42", "trace_id": TRACE},
                "values": [["1764322202000000000", "order placed"], ["1764322201000000000", "request"]],
            },
            {
                "stream": {"service_name": "xendit", "external_id": "order-42"},
                "values": [["1764322203000000000", "sent"]],
            },
        ],
    },
}


async def test_loki_is_asked_by_logql_and_its_streams_become_lines() -> None:
    asked: list[httpx2.Request] = []
    async with asking(httpx2.Response(200, json=ANSWER), asked) as http:
        found = await Loki(http, "http://loki").find(ORDER, WEEK, 10)
    query = parse_qs(asked[0].url.query.decode())
    assert query["query"] == [
        '{service_namespace="go-commerce"} | order_id="42" or key="order-42" or external_id="order-42"'
    ]
    assert query["direction"] == ["backward"]
    assert [(each.service, each.event, each.level) for each in found.lines] == [
        ("orderfc", "request", "info"),
        ("orderfc", "order placed", "info"),
        ("xendit", "sent", ""),
    ]
    assert found.lines[0].trace_id == TRACE


@pytest.mark.parametrize("store", [VictoriaLogs, Loki])
@pytest.mark.parametrize(
    "answer", [httpx2.Response(500), httpx2.Response(200, text="<html>"), httpx2.Response(200, text="[1]")]
)
async def test_a_store_that_answers_something_else_is_named(store: Any, answer: httpx2.Response) -> None:
    async with asking(answer, []) as http:
        with pytest.raises(NoAnswer):
            await store(http, "http://logs").find(ORDER, WEEK, 10)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mail to alice@example.com now", "mail to **** now"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln", "token ****"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: ****"),
        ("key xnd_development_abc", "key ****"),
        ("nothing of the kind: 42 @ 3", "nothing of the kind: 42 @ 3"),
    ],
)
def test_what_is_personal_or_secret_is_masked_as_by_the_collector(text: str, shown: str) -> None:
    assert masked(text) == shown
    made = line_of(line(note=text, user_password="x", event=text))
    assert made is not None
    assert dict(made.fields) == {"note": shown, "user_password": "****"}
    assert made.event == shown


def test_the_masks_are_those_of_the_collector() -> None:
    root = Path(__file__).parents[3]
    text = (root / "deploy/observability/collector/logs.yaml").read_text(encoding="utf-8")
    block = text[text.index("blocked_values:") : text.index("exporters:")]
    patterns = [each.replace("''", "'") for each in re.findall(r"- '(.*)'\n", block)]
    assert len(patterns) == 4
    ours = masked.__globals__["_MASKED_VALUES"].pattern
    for pattern in patterns:
        assert re.sub(r"^\(\?i\)\(", "(?:", pattern) in ours


async def test_the_pages_show_lines_lead_to_the_trace_and_mask_what_is_personal(
    browser: Browser, tmp_path: Path
) -> None:
    browser.app.state.logs = LogFiles(tmp_path)
    time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    known: dict[str, Any] = {"order_id": 42, "trace_id": TRACE, "request_id": "r-1", "error": "to alice@example.com"}
    write(tmp_path, line(**known) | {"timestamp": time, "level": "error"})
    for path in ("/orders/42/logs", f"/traces/{TRACE}/logs", "/requests/r-1/logs"):
        assert (await browser.get(path)).status_code == 303
    browser.sign_in()
    for path in ("/orders/42/logs", f"/traces/{TRACE}/logs", "/requests/r-1/logs"):
        page = (await browser.get(path)).text
        assert "order placed" in page
        assert f'href="/traces/{TRACE}"' in page
        assert 'class="badge bad">error' in page
        assert "to ****" in page
        assert "alice@" not in page
    assert "No lines" in (await browser.get("/orders/43/logs")).text
    assert (await browser.get("/requests/a%20b/logs")).status_code == 400


async def test_what_came_from_outside_is_text_and_a_store_that_is_away_is_named(
    browser: Browser, tmp_path: Path
) -> None:
    browser.sign_in()
    browser.app.state.logs = LogFiles(tmp_path)
    time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    write(tmp_path, line(event=HOSTILE, order_id=42, note=HOSTILE, trace_id=HOSTILE) | {"timestamp": time})
    page = (await browser.get("/orders/42/logs")).text
    assert not re.search(r"<script>|style=|\son\w+=", page)
    assert page.count("&lt;script&gt;") >= 3
    browser.app.state.logs = NoLogs()
    answer = await browser.get("/orders/42/logs")
    assert answer.status_code == 200
    assert "the logs did not answer: neither LOGS_URL nor LOGS_DIR" in answer.text
