"""The pages of dead letters: who sees them, what they show, and that it is text whatever it is."""

import asyncio
import re
from urllib.parse import quote

import pytest
from aiokafka import TopicPartition

from console.client.letter_box import LetterBox
from console.client.letter_store import PAGE_S, Bounds
from console.handler import dead_letters

from .browser import Browser
from .kafka import MemoryKafka
from .test_letter_actions import confirmed, planned, sent

HOSTILE = "<script>alert(1)</script>\"'&"

PAGES = [
    "/dead-letters",
    "/dead-letters/groups/0123456789abcdef",
    "/dead-letters/letters/payment.success/0:0",
    "/dead-letters/plan?action=replay",
    "/dead-letters/runs/0123456789abcdef",
    "/dead-letters/journal",
    "/outbox",
    "/outbox/retry?service=orderfc",
]


@pytest.mark.parametrize("path", PAGES)
async def test_only_an_administrator_sees_letters_and_outboxes(browser: Browser, kafka: MemoryKafka, path: str) -> None:
    kafka.letter(42)
    browser.sign_in("user")
    assert (await browser.get(path)).status_code == 403
    browser.http.cookies.clear()
    assert (await browser.get(path)).status_code == 303


async def test_a_letter_shows_what_it_is_and_what_its_order_is_now(browser: Browser, kafka: MemoryKafka) -> None:
    name = kafka.letter(42, value=b'{"order_id": "42", "status": "PAID"}')
    page = (await browser.get(f"/dead-letters/letters/{name}")).text
    for text in ("payment.success.dlq 0:0", "order 42 is not known", "x-source-offset"):
        assert text in page
    assert 'class="status completed"' in page
    browser.platform.away = {"orderfc"}
    page = (await browser.get(f"/dead-letters/letters/{name}")).text
    assert "orderfc did not answer" in page
    assert "payment.success.dlq 0:0" in page


@pytest.mark.parametrize("value", [HOSTILE.encode(), b"\x00\xff\xfe\x1b[31m", b"[" * 100_000, b"", b"x" * 2_000_000])
async def test_what_a_stranger_has_written_is_text(browser: Browser, kafka: MemoryKafka, value: bytes) -> None:
    name = kafka.letter(
        42, value=value, x_error=HOSTILE, x_handler=HOSTILE, x_reason=HOSTILE, ce_id=HOSTILE, extra="\x00"
    )
    for path in (
        f"/dead-letters/letters/{name}",
        "/dead-letters",
        f"/dead-letters/plan?{quote(name)}=on&action=replay",
    ):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "\x00" not in answer.text
        assert "\x1b" not in answer.text
        assert len(answer.text) < 200_000


async def test_an_unreadable_letter_and_one_without_key_are_shown(browser: Browser, kafka: MemoryKafka) -> None:
    offset = kafka.put("payment.failed.dlq", None, None, [])
    page = await browser.get(f"/dead-letters/letters/payment.failed/0:{offset}")
    assert page.status_code == 200
    assert "has no content" in page.text


@pytest.mark.parametrize("path", ["nothing/0:0", "payment.success/0:99", "payment.success/x", "payment.success/0:1e3"])
async def test_a_letter_that_is_not_there_is_404(browser: Browser, kafka: MemoryKafka, path: str) -> None:
    kafka.letter(42)
    assert (await browser.get(f"/dead-letters/letters/{path}")).status_code == 404


async def test_the_page_of_a_letter_waits_for_kafka_as_long_as_other_pages(
    browser: Browser, kafka: MemoryKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = kafka.letter(42)

    async def never(*_topics: str) -> list[TopicPartition]:
        await asyncio.Event().wait()
        return []

    assert PAGE_S == 2.0
    monkeypatch.setattr(dead_letters, "PAGE_S", 0.01)
    monkeypatch.setattr(kafka, "partitions", never)
    assert "no answer in 0.01 s" in (await browser.get(f"/dead-letters/letters/{name}")).text


async def test_without_kafka_each_page_says_so(browser: Browser, kafka: MemoryKafka) -> None:
    name = kafka.letter(42)
    dry = await planned(browser, "replay", name)
    kafka.fails = {"partitions"}
    for path in (
        "/dead-letters",
        "/dead-letters/journal",
        f"/dead-letters/letters/{name}",
        "/dead-letters/groups/0" + "a" * 15,
    ):
        answer = await browser.get(path)
        assert (answer.status_code, "Kafka did not answer" in answer.text) == (200, True), path
    answer = await confirmed(browser, dry)
    assert (answer.status_code, "Kafka did not answer" in answer.text) == (200, True)
    assert not sent(kafka)


async def test_letters_that_are_not_read_are_not_called_handled_or_gone(
    browser: Browser, kafka: MemoryKafka, said: list[str]
) -> None:
    for order in (1, 2, 3):
        kafka.letter(order)
    browser.app.state.letters = LetterBox(kafka, Bounds(letters=0))
    page = (await browser.get("/dead-letters")).text
    assert "No open dead letters" not in page
    assert "3 more letters are not read" in page
    assert said == ["At least 0 dead letters are open; 3 more are not read"]
    group = await browser.get("/dead-letters/groups/0123456789abcdef")
    assert (group.status_code, "3 letters are not read" in group.text) == (200, True)
    assert "No letter of this cause is open" not in group.text


async def test_a_group_with_unread_letters_shows_a_lower_bound(browser: Browser, kafka: MemoryKafka) -> None:
    for order in (1, 2):
        kafka.letter(order)
    browser.app.state.letters = LetterBox(kafka, Bounds(letters=1))
    found = re.search(r"/dead-letters/groups/\w+", (await browser.get("/dead-letters")).text)
    assert found is not None
    assert "<dt>Open</dt><dd>1+</dd>" in (await browser.get(found[0])).text


async def test_what_a_service_does_not_say_of_a_letter_is_unknown(browser: Browser, kafka: MemoryKafka) -> None:
    name = kafka.letter(42)
    path = f"/dead-letters/letters/{name}"
    assert "<dt>Applied since</dt><dd>no</dd>" in (await browser.get(path)).text
    assert "<td>no</td>" in (await planned(browser, "replay", name)).text
    browser.platform.away = {"orderfc"}
    page = (await browser.get(path)).text
    assert "<dt>Applied since</dt><dd>unknown</dd>" in page
    assert "whether it has applied them since is unknown" in page
    assert "<td>unknown</td>" in (await planned(browser, "replay", name)).text


async def test_a_dry_run_says_of_how_many_letters_it_does_not_know_whether_they_were_applied(
    browser: Browser, kafka: MemoryKafka
) -> None:
    names = [kafka.letter(order) for order in range(1, 204)]
    group = re.search(r"/dead-letters/groups/(\w+)", (await browser.get("/dead-letters")).text)
    assert group is not None
    dry = (await planned(browser, "replay", group=group[1])).text
    assert "Only the first 200 were looked up: whether the other 3 were applied since is unknown" in dry
    assert (dry.count("<td>no</td>"), dry.count("<td>unknown</td>")) == (200, 3)
    browser.app.state.letters = LetterBox(kafka, Bounds(letters=1))
    dry = (await planned(browser, "replay", names[0])).text
    assert "not kept any more, or not read: 202 letters are not read" in dry
