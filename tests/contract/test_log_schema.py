"""Every log line is as docs/logs.schema.json says, and a line that is not fails the test that owns its stack."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from fc.demo.shop import Customer, Shop
from fc.stack.layout import ROOT, Layout
from fc.stack.local import Stack
from tests.kit import log_lines
from tests.kit.back_office import BackOffice
from tests.kit.stacks import running

GOOD: dict[str, Any] = {
    "timestamp": "2026-11-28T06:11:50.198156Z",
    "level": "info",
    "service": "orderfc",
    "event": "order placed",
    "logger": "orderfc.usecase.checkout",
    "order_id": 7,
    "trace_id": "1" * 32,
    "span_id": "2" * 16,
}


def encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode()


def test_a_line_of_the_schema_is_good() -> None:
    assert log_lines.fault(encoded(GOOD)) is None
    assert log_lines.fault(b"orderfc: setting DB_HOST: is missing") is None
    assert log_lines.fault(b"E0000 00:00:1764310000.123456    4711 chttp2_transport.cc:1182] GOAWAY") is None


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "2026-11-28 06:11:50"},
        {"timestamp": "2026-11-28T06:11:50+00:00"},
        {"level": "INFO"},
        {"service": "shopfc"},
        {"event": ""},
        {"order_id": "7"},
        {"order_id": 0},
        {"trace_id": "1" * 31},
        {"trace_id": "A" * 32},
        {"error": {"code": 7}},
        {"orderId": 7},
        {"products": [{"id": 7}]},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_a_line_with_another_form_is_bad(change: dict[str, Any]) -> None:
    assert log_lines.fault(encoded(GOOD | change))


@pytest.mark.parametrize("missing", [*log_lines.schema()["required"], "trace_id", "span_id"])
def test_a_line_that_lacks_a_field_is_bad(missing: str) -> None:
    assert log_lines.fault(encoded({name: value for name, value in GOOD.items() if name != missing}))


@pytest.mark.parametrize("text", [b"Traceback (most recent call last):", b"{'event': 1}", b"[]", b"", b"7"])
def test_what_is_no_object_is_bad(text: bytes) -> None:
    assert log_lines.fault(text)


class _Still:
    """A stack of which only the folder is there."""

    def __init__(self, home: Path) -> None:
        self.layout = Layout(home)
        self.wiped = False
        (home / "logs").mkdir()

    def up(self) -> None:
        """Run nothing."""

    def down(self) -> None:
        """Run nothing."""

    def wipe(self) -> None:
        self.wiped = True


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("orderfc.log", b"something printed"),
        ("xendit.log", b"something printed"),
        ("productfc-by-test.log", encoded(GOOD | {"level": "WARN"})),
        ("orderfc.log", encoded(GOOD | {"order_id": "7"})),
        ("orderfc.log", encoded(GOOD | {"lines": "7"})),
    ],
)
def test_a_bad_line_fails_the_test_that_owns_the_stack(tmp_path: Path, name: str, planted: bytes) -> None:
    stack = _Still(tmp_path)
    log = tmp_path / "logs" / name
    with pytest.raises(AssertionError, match=f"1 lines are not(?s:.)*{name} line 3: "), running(cast("Stack", stack)):
        log.write_bytes(b"\n".join([encoded(GOOD), encoded(GOOD | {"lines": 1}), planted, encoded(GOOD), b""]))
    assert stack.wiped


def test_a_failure_of_the_test_itself_is_not_hidden_by_a_bad_line(tmp_path: Path) -> None:
    stack = _Still(tmp_path)
    (tmp_path / "logs" / "orderfc.log").write_bytes(b"something printed\n")
    with pytest.raises(KeyError), running(cast("Stack", stack)):
        raise KeyError


def test_a_line_that_two_files_share_and_one_that_a_kill_has_cut_are_good(tmp_path: Path) -> None:
    line = encoded(GOOD)
    (tmp_path / "orderfc.log.1").write_bytes(b'half of a removed line"}\n' + line + b"\n" + line[:50])
    (tmp_path / "orderfc.log").write_bytes(line[50:] + b"\n" + line[:30] + line + b"\n")
    assert list(log_lines.faults([tmp_path / "orderfc.log"])) == []


async def test_the_commands_and_the_simulator_write_lines_of_the_schema(
    stack: Stack, shop: Shop, alice: Customer, back_office: BackOffice
) -> None:
    for command in ("migrate", "topics"):
        result = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "orderfc", command],
            env=stack.programs.base_environment() | stack.programs.environment("orderfc"),
            capture_output=True,
            timeout=60,
            check=False,
        )
        lines = result.stderr.splitlines()
        assert (result.returncode, result.stdout, bool(lines)) == (0, b"", True), result.stderr
        assert [fault for fault in map(log_lines.fault, lines) if fault] == []

    order = await alice.checkout(await back_office.product(1), 1)
    await shop.pay((await alice.invoice(order))["invoice_id"])
    await alice.wait_status(order, "completed")
    sent = [json.loads(line) for line in stack.layout.log("xendit").read_bytes().splitlines()]
    [about] = [line for line in sent if line.get("order_id") == order]
    assert (about["event"], about["outcome"], about["status_code"]) == ("callback sent", "delivered", 200)


def test_the_documented_fields_are_those_of_the_schema() -> None:
    text = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    documented = {
        name: (what, where) for name, what, where in re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", text, re.M)
    }
    schema = log_lines.schema()
    assert {name: what for name, (what, _) in documented.items()} == {
        name: field["description"] for name, field in schema["properties"].items()
    }
    assert [name for name, (_, where) in documented.items() if where == "every line"] == schema["required"]
