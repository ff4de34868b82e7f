"""Dead letters in the console on the running stack: found, understood, replayed or discarded, and on record."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from console.client.letter_box import LetterBox
from console.model.fingerprint import Cause
from console.model.journal import Action, Entry, key_of
from console.model.letters import Letter
from fc.demo.shop import poll
from fc.ops.kafka_records import KafkaRecords
from fc.stack.local import Stack
from tests.console.kit.operator import Desk, Operator
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus, brokers_of
from tests.kit.processes import replica
from tests.ops.conftest import Run, kafka
from tests.ops.test_dead_letters import dead, poison

__all__ = ["kafka"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WHY = "orderfc is repaired"
ADMIN = "admin@example.com"
ANSWER_S = 2.5
MANY = 10_000
# Of these letters; no other test makes any on that topic.
CAUSE = Cause("order.cancelled", "not_yet", "paymentfc.order.cancelled", "order N is not known")


async def entries(kafka: KafkaRecords, letter: Letter) -> list[Entry]:
    """Return what the journal says was done with a letter."""
    read = [Entry.read(record.value) for record in await kafka.read("operations.journal")]
    return [each for each in read if each and each.key == key_of(letter) and each.action is not Action.CLAIMED]


async def sent(kafka: KafkaRecords, letter: Letter) -> int:
    """Count the records of the letter's key on its topic."""
    return sum(record.key == letter.key for record in await kafka.read(letter.topic))


async def over(http: httpx2.AsyncClient, run: str) -> str:
    """Wait until a run is over, and return its page."""

    async def seen() -> str:
        text = (await http.get(run)).text
        return "" if "at work" in text else text

    return str(await poll(seen, "the run is over", 20))


async def planned(http: httpx2.AsyncClient, action: str, *letters: Letter, **more: str) -> dict[str, str]:
    """Open the dry run of letters, and return the fields of its confirmation."""
    names = {f"{letter.topic}/{letter.place}": "on" for letter in letters}

    async def seen() -> dict[str, str] | None:
        # On a busy machine Kafka may not answer in time.
        page = await http.get("/dead-letters/plan", params=names | {"action": action} | more)
        hidden = dict(re.findall(r'type="hidden" name="(form|letters|count|force|action)" value="([^"]*)"', page.text))
        return hidden if hidden.get("count") == str(len(letters)) else None

    return dict(await poll(seen, "the dry run of the letters", 20)) | {"action": action, "reason": WHY}


async def choose(operator: Operator, letter: Letter, action: str) -> None:
    """Open the group of a letter as a person does, choose the letter, and ask for the dry run."""
    page = operator.page
    await operator.open("/dead-letters")
    rows = page.get_by_role("row").filter(has_text=letter.topic).filter(has_text=letter.reason)
    await rows.get_by_role("link").first.click()
    await page.get_by_label(f"Choose {letter.place}", exact=True).check()
    await page.get_by_role("button", name=f"{action}: dry run").click()


async def test_of_a_page_and_the_command_at_once_one_handles_a_letter(
    desk: Desk, kafka: KafkaRecords, bus: Bus, back_office: BackOffice, fc: Run
) -> None:
    for _ in range(2):
        letter = await poison(kafka, bus, back_office)
        async with desk.plain() as http:
            given = await planned(http, "replay", letter, force="on")
            # Without force: a command that begins late would rightly replay a letter that it has seen as replayed.
            words = ("dlq", "discard", letter.topic, letter.place, "--reason", WHY, "--yes", "--by", "ann")
            answer, command = await asyncio.gather(
                http.post("/dead-letters/runs", data=given, headers={"origin": desk.url}),
                fc(*words),
            )
            assert answer.status_code == 303, answer.text
            shown = await over(http, answer.headers["location"])
        done = [each.by for each in await entries(kafka, letter)]
        assert done in (["ann"], [ADMIN])
        by_page = done == [ADMIN]
        assert ("1 replayed." in shown) is by_page
        assert (command.exit_code == 0) is not by_page
        assert ADMIN in command.stdout if by_page else "ann" in shown
        if by_page:
            assert (await dead(kafka, letter.topic, f"order-{letter.order_id}")).letter.replays == 1
        assert await sent(kafka, letter) == (2 if by_page else 1)


async def test_a_letter_is_discarded_without_javascript(
    desk: Desk, kafka: KafkaRecords, bus: Bus, back_office: BackOffice
) -> None:
    letter = await poison(kafka, bus, back_office)
    async with desk.operator(java_script_enabled=False) as operator:
        await choose(operator, letter, "Discard")
        page = operator.page
        await page.get_by_label("Reason, for the journal").fill("a probe")
        await page.get_by_role("button", name="Discard 1 letter").click()
        await operator.until("1 discarded.")
    assert [(each.action, each.by) for each in await entries(kafka, letter)] == [("discarded", ADMIN)]
    assert await sent(kafka, letter) == 1


async def test_hostile_bytes_are_shown_as_text(
    operator: Operator, kafka: KafkaRecords, bus: Bus, back_office: BackOffice
) -> None:
    order = back_office.foreign_order_id()
    value = (
        b'<img src=x onerror="document.title=1">\x00\xff\xfe\x1b[2J</pre><script>alert(1)</script>' + b"\xf0" * 99_999
    )
    await bus.raw("payment.failed", f"order-{order}".encode(), value)
    letter = (await dead(kafka, "payment.failed", f"order-{order}")).letter
    dialogs: list[str] = []
    operator.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await operator.open(f"/dead-letters/letters/{letter.topic}/{letter.place}")
    await operator.until("<img src=x onerror=")
    await operator.until("more bytes")
    assert (dialogs, await operator.page.locator("main img").count()) == ([], 0)


@pytest.fixture
async def many(stack: Stack) -> AsyncIterator[None]:
    """Letters on a topic that has none otherwise; they are removed afterwards."""
    topic, address = f"{CAUSE.topic}.dlq", brokers_of(stack)
    async with AIOKafkaProducer(bootstrap_servers=address, linger_ms=20) as producer, AsyncExitStack() as exits:
        admin = AIOKafkaAdminClient(bootstrap_servers=address)
        await admin.start()
        exits.push_async_callback(admin.close)
        named = [("x-reason", CAUSE.reason.encode()), ("x-handler", CAUSE.handler.encode())]
        for number in range(1, MANY + 1):
            error = ("x-error", f"order {number} is not known".encode())
            await producer.send(topic, b"{}", f"order-{number}".encode(), headers=[*named, error])
        await producer.flush()
        yield
        [described] = await admin.describe_topics([topic])
        places = [TopicPartition(topic, each["partition"]) for each in described["partitions"]]
        await admin.delete_records({place: RecordsToDelete(-1) for place in places})


@pytest.mark.usefixtures("many")
async def test_ten_thousand_letters_are_listed_in_time(desk: Desk) -> None:
    async with desk.plain() as http:

        async def all_read() -> bool:
            began = time.monotonic()
            answer = await http.get("/dead-letters")
            assert (answer.status_code, time.monotonic() - began < ANSWER_S) == (200, True)
            return f"{MANY:,}" in answer.text and "more letters are not read" not in answer.text

        await poll(all_read, "all letters are read", 10)
        for path in (f"/dead-letters/groups/{CAUSE.name}", f"/dead-letters/plan?group={CAUSE.name}&action=discard"):
            began = time.monotonic()
            answer = await http.get(path)
            assert (answer.status_code, time.monotonic() - began < ANSWER_S) == (200, True)
        assert "1,000 letters would be discarded" in answer.text
        assert "9,000 more are left" in answer.text


async def test_without_kafka_the_pages_say_so_in_time(desk: Desk, stack: Stack) -> None:
    async with replica(stack, "console", {"KAFKA_BROKER": "127.0.0.1:1"}) as lonely, desk.plain(lonely.url) as http:
        for path in ("/dead-letters", "/dead-letters/journal", "/dead-letters/letters/payment.success/0:0"):
            began = time.monotonic()
            answer = await http.get(path)
            assert (answer.status_code, "Kafka did not answer" in answer.text) == (200, True), path
            assert time.monotonic() - began < ANSWER_S, path


async def test_a_console_that_dies_leaves_the_rest_listed(
    desk: Desk, stack: Stack, kafka: KafkaRecords, bus: Bus, back_office: BackOffice
) -> None:
    letters = [await poison(kafka, bus, back_office) for _ in range(3)]
    async with replica(stack, "console") as dying, desk.plain(dying.url) as http:
        given = await planned(http, "discard", *letters)
        posting = asyncio.create_task(http.post("/dead-letters/runs", data=given, headers={"origin": dying.url}))

        async def begun() -> bool:
            return bool(await entries(kafka, letters[0]))

        await poll(begun, "the first letter is handled", 10, 0.001)
        dying.process.kill()
        await asyncio.gather(posting, return_exceptions=True)
    done = [bool(await entries(kafka, each)) for each in letters]
    open_ = {item.key for item in (await LetterBox(kafka).look(["payment.failed"])).items}
    assert [key_of(each) in open_ for each in letters] == [not each for each in done]
    assert done[0]
