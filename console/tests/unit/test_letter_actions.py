"""What a person does with dead letters: dry run, confirmation, run; who may, and what is refused."""

import asyncio
import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from console.handler.letter_choice import MAX_CHOSEN
from console.model.journal import TOPIC

from .browser import Browser
from .kafka import MemoryKafka


def sent(kafka: MemoryKafka) -> list[bytes | None]:
    return [record.key for record in kafka.topics.get("payment.success", [])]


def journal(kafka: MemoryKafka) -> list[dict[str, Any]]:
    entries = [json.loads(record.value) for record in kafka.topics.get(TOPIC, [])]
    return [entry for entry in entries if entry["action"] != "claimed"]


def fields(page: str) -> dict[str, str]:
    """Return the hidden fields of the form that confirms."""
    form = re.search(r'action="/dead-letters/runs".*?</form>', page, re.DOTALL)
    assert form is not None, page
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0])
    return {name: html.unescape(value) for name, value in found}


async def planned(browser: Browser, action: str, *names: str, **more: str) -> httpx2.Response:
    return await browser.get(f"/dead-letters/plan?{urlencode(dict.fromkeys(names, 'on') | {'action': action} | more)}")


async def confirmed(browser: Browser, page: httpx2.Response, reason: str = "restored", **more: str) -> httpx2.Response:
    return await browser.post("/dead-letters/runs", **fields(page.text) | {"reason": reason} | more)


async def test_a_letter_is_found_in_its_group_and_replayed_after_a_dry_run(
    browser: Browser, kafka: MemoryKafka
) -> None:
    name = kafka.letter(42)
    kafka.letter(43)
    kafka.letter(44, x_reason="invalid_json", x_error="value: Invalid JSON")
    groups = await browser.get("/dead-letters")
    assert "order N is not known" in groups.text
    [path] = re.findall(r'href="(/dead-letters/groups/\w+)">not_yet', groups.text)
    group = await browser.get(path)
    assert group.text.count('type="checkbox" name="payment.success/') == 2
    dry = await planned(browser, "replay", name)
    assert "1 letter would be replayed" in dry.text
    assert not sent(kafka)
    run = await confirmed(browser, dry)
    assert run.status_code == 303
    result = await browser.get(run.headers["location"])
    assert 'class="notice">1 replayed.' in result.text
    assert sent(kafka) == [b"order-42"]
    [entry] = journal(kafka)
    assert (entry["by"], entry["why"], entry["order_id"]) == ("admin@example.com", "restored", 42)
    shown = await browser.get("/dead-letters/journal")
    assert "admin@example.com" in shown.text
    assert "restored" in shown.text
    assert (await browser.get(path)).text.count('type="checkbox" name="payment.success/') == 1


async def test_a_dry_run_says_what_is_refused_and_changes_nothing(browser: Browser, kafka: MemoryKafka) -> None:
    curable, broken = kafka.letter(42), kafka.letter(43, x_reason="invalid_json")
    dry = await planned(browser, "replay", curable, broken)
    assert "1 letter would be replayed" in dry.text
    assert "invalid_json is permanent: the same bytes fail again" in dry.text
    await confirmed(browser, dry)
    assert sent(kafka) == [b"order-42"]
    forced = await planned(browser, "replay", broken, force="on")
    assert "1 letter would be replayed" in forced.text
    assert 'class="danger"' in forced.text
    assert (sent(kafka), len(journal(kafka))) == ([b"order-42"], 1)


async def test_a_second_replay_is_refused_with_by_whom(browser: Browser, kafka: MemoryKafka) -> None:
    name = kafka.letter(42)
    first, second = await planned(browser, "replay", name), await planned(browser, "replay", name)
    await confirmed(browser, first)
    late = await confirmed(browser, second)
    assert late.status_code == 409
    assert "replayed already by admin@example.com: restored" in late.text
    assert sent(kafka) == [b"order-42"]


@pytest.mark.parametrize("force", ["", "on"])
async def test_of_two_who_confirm_at_once_one_replays(browser: Browser, kafka: MemoryKafka, force: str) -> None:
    name = kafka.letter(42)
    dry = await planned(browser, "replay", name, force=force)
    answers = await asyncio.gather(*(confirmed(browser, dry, f"person {number}") for number in range(4)))
    pages = [await browser.get(answer.headers["location"]) for answer in answers if answer.status_code == 303]
    assert sent(kafka) == [b"order-42"]
    assert sum("1 replayed." in page.text for page in pages) == 1
    told = ("already by admin@example.com", "admin@example.com is handling it", "1 replayed.")
    assert all(any(text in page.text for text in told) for page in pages)


async def test_a_handled_letter_is_handled_again_only_by_force_of_who_has_seen_it(
    browser: Browser, kafka: MemoryKafka
) -> None:
    name = kafka.letter(42)
    await confirmed(browser, await planned(browser, "discard", name), "a probe")
    assert "discarded already by" in (await planned(browser, "replay", name)).text
    forced = await planned(browser, "replay", name, force="on")
    await confirmed(browser, await planned(browser, "discard", name, force="on"), "again")
    stale = await confirmed(browser, forced)
    assert "discarded already by admin@example.com: again" in (await browser.get(stale.headers["location"])).text
    assert not sent(kafka)
    await confirmed(browser, await planned(browser, "replay", name, force="on"))
    assert sent(kafka) == [b"order-42"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"reason": " "}, "The journal needs a reason"),
        ({"count": "2"}, "confirm 1"),
        ({"count": ""}, "confirm 1"),
        ({"letters": ""}, "Nothing is left to be done"),
        ({"letters": "payment.success/0:9=open x y=z"}, "Nothing is left to be done"),
    ],
)
async def test_what_was_not_confirmed_does_not_happen(
    browser: Browser, kafka: MemoryKafka, changed: dict[str, str], problem: str
) -> None:
    dry = await planned(browser, "replay", kafka.letter(42))
    answer = await browser.post("/dead-letters/runs", **fields(dry.text) | {"reason": "why"} | changed)
    assert (answer.status_code, problem in answer.text) == (409, True)
    assert (sent(kafka), journal(kafka)) == ([], [])


@pytest.mark.parametrize("changed", [{"action": "delete"}, {"reason": "x" * 501}, {"form": "0" * 64}, {"form": ""}])
async def test_a_form_that_is_not_of_this_page_changes_nothing(
    browser: Browser, kafka: MemoryKafka, changed: dict[str, str]
) -> None:
    dry = await planned(browser, "replay", kafka.letter(42))
    answer = await browser.post("/dead-letters/runs", **fields(dry.text) | {"reason": "why"} | changed)
    assert answer.status_code in (400, 403)
    other = await browser.post("/dead-letters/runs", "http://evil.example", **fields(dry.text) | {"reason": "why"})
    assert other.status_code == 403
    assert (sent(kafka), journal(kafka)) == ([], [])


@pytest.mark.parametrize("path", ["/dead-letters/runs", "/outbox/retry"])
async def test_only_an_administrator_acts(browser: Browser, kafka: MemoryKafka, path: str) -> None:
    dry = await planned(browser, "replay", kafka.letter(42))
    given = fields(dry.text) | {"reason": "why", "service": "orderfc", "rows": "1"}
    browser.sign_in("user")
    assert (await browser.post(path, **given)).status_code == 403
    browser.http.cookies.clear()
    assert (await browser.post(path, **given)).status_code == 303
    assert (sent(kafka), journal(kafka)) == ([], [])


async def test_a_run_that_kafka_ends_says_what_is_left_and_goes_on_later(browser: Browser, kafka: MemoryKafka) -> None:
    for order in (1, 2, 3):
        kafka.letter(order)
    group = re.search(r"/dead-letters/groups/(\w+)", (await browser.get("/dead-letters")).text)
    assert group is not None
    dry = await planned(browser, "replay", group=group[1])
    assert "3 letters would be replayed" in dry.text
    send = kafka.send

    async def twice(topic: str, *rest: Any) -> int:
        kafka.fails = {"send payment.success"} if topic == "payment.success" and len(sent(kafka)) == 2 else set()
        return await send(topic, *rest)

    kafka.send = twice  # type: ignore[assignment,method-assign]
    page = (await browser.get((await confirmed(browser, dry)).headers["location"])).text
    assert "Kafka did not answer" in page
    assert "1 letters were not handled" in page
    assert (sent(kafka), len(journal(kafka))) == ([b"order-1", b"order-2"], 2)


async def test_too_many_letters_are_handled_a_part_at_a_time(browser: Browser, kafka: MemoryKafka) -> None:
    for order in range(1, MAX_CHOSEN + 6):
        kafka.letter(order)
    group = re.search(r"/dead-letters/groups/(\w+)", (await browser.get("/dead-letters")).text)
    assert group is not None
    dry = await planned(browser, "discard", group=group[1])
    assert "1,000 letters would be discarded" in dry.text
    assert "5 more are left" in dry.text
    assert (await confirmed(browser, dry)).status_code == 303


async def test_only_so_many_runs_are_at_work(browser: Browser, kafka: MemoryKafka) -> None:
    names = [kafka.letter(order) for order in range(1, 7)]
    plans = [await planned(browser, "discard", name) for name in names]
    release = asyncio.Event()
    send = kafka.send

    async def slow(*parts: Any) -> int:
        await release.wait()
        return await send(*parts)

    kafka.send = slow  # type: ignore[assignment,method-assign]
    answers = await asyncio.gather(*(confirmed(browser, dry) for dry in plans))
    release.set()
    assert sorted(answer.status_code for answer in answers) == [303] * 4 + [409] * 2
