"""`fc dlq` on the running stack: dead letters are listed, replayed or discarded, and the journal records it."""

from typing import Any
from uuid import UUID

import asyncpg
import orjson

from console.client.letter_box import LetterBox
from console.model import journal
from console.model.items import Item
from console.model.journal import Action
from console.model.letters import Letter
from console.usecase.handle_letters import LetterCommand, carry_out
from fc.demo.shop import poll
from fc.ops import connections
from fc.ops.dlq import operator
from fc.ops.kafka_records import KafkaRecords
from fc.platform.sources import Sources
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus
from tests.ops.conftest import Run, lines

WHY = "agreed with the shop"


async def dead(kafka: KafkaRecords, topic: str, key: str, deadline_s: float = 20) -> Item:
    """Wait for the newest open letter with a key."""

    async def found() -> Item | None:
        items = (await LetterBox(kafka).look([topic])).items
        return next((item for item in reversed(items) if item.letter.key == key.encode()), None)

    item = await poll(found, f"dead letter of {key}", deadline_s)
    assert isinstance(item, Item)
    return item


async def poison(kafka: KafkaRecords, bus: Bus, back_office: BackOffice) -> Letter:
    """Send a message that becomes a dead letter because it cannot be parsed."""
    order = back_office.foreign_order_id()
    await bus.raw("payment.failed", f"order-{order}".encode(), b'{"order_id": \x1b[31m')
    return (await dead(kafka, "payment.failed", f"order-{order}")).letter


async def listed(fc: Run, letter: Letter, *words: str) -> dict[str, Any] | None:
    """Find a letter in what `fc dlq ls` prints."""
    rows = lines(await fc("dlq", "ls", "--topic", letter.topic, "--json", *words))
    return next((row for row in rows if row["place"] == letter.place), None)


async def test_a_poison_message_is_listed_with_its_reason(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice, fc: Run
) -> None:
    letter = await poison(kafka, bus, back_office)
    row = await listed(fc, letter)
    assert row is not None
    assert (row["order_id"], row["reason"], row["handler"]) == (
        letter.order_id,
        "invalid_json",
        "orderfc.payment.failed",
    )
    shown = await fc("dlq", "show", "payment.failed.dlq", letter.place)
    assert "x-reason\tinvalid_json" in shown.stdout
    assert "\x1b" not in shown.stdout, "what a stranger has sent must not reach the terminal's ears"


async def test_a_dry_run_changes_nothing(kafka: KafkaRecords, bus: Bus, back_office: BackOffice, fc: Run) -> None:
    letter = await poison(kafka, bus, back_office)
    before = await kafka.read("payment.failed"), await kafka.read(journal.TOPIC)
    for verb in ("replay", "discard"):
        dry_run = await fc("dlq", verb, letter.topic, letter.place, "--reason", WHY, "--force")
        assert dry_run.exit_code == 0
        assert f"would be {verb}" in dry_run.stdout
    after = await kafka.read("payment.failed"), await kafka.read(journal.TOPIC)
    assert [len(records) for records in after] == [len(records) for records in before]
    assert await listed(fc, letter)


async def test_a_permanent_reason_is_not_replayed_unless_forced(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice, fc: Run
) -> None:
    letter = await poison(kafka, bus, back_office)
    words = ("dlq", "replay", letter.topic, letter.place, "--reason", WHY, "--yes")
    refused = await fc(*words)
    assert refused.exit_code == 1
    assert "invalid_json is permanent" in refused.stdout
    assert (await listed(fc, letter)) is not None
    assert (await fc(*words, "--force")).exit_code == 0
    second = (await dead(kafka, letter.topic, f"order-{letter.order_id}")).letter
    assert (second.replays, second.event_id) == (1, letter.event_id)
    assert second.header("x-replay-reason") == WHY


async def test_a_discarded_letter_is_hidden_and_the_journal_names_who_and_why(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice, fc: Run
) -> None:
    letter = await poison(kafka, bus, back_office)
    words = ("dlq", "discard", letter.topic, letter.place, "--reason", WHY, "--yes")
    assert (await fc(*words, "--by", "ann")).exit_code == 0
    assert await listed(fc, letter) is None
    row = await listed(fc, letter, "--all")
    assert row is not None
    handled = row["handled"]
    assert (handled["action"], handled["by"], handled["why"]) == ("discarded", "ann", WHY)
    again = await fc(*words, "--by", "bob")
    assert again.exit_code == 1
    assert "discarded already by ann" in again.stdout


async def test_who_acts_is_the_systems_user_unless_said_otherwise(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice, fc: Run
) -> None:
    letter = await poison(kafka, bus, back_office)
    assert (await fc("dlq", "discard", letter.topic, letter.place, "--reason", WHY, "--yes")).exit_code == 0
    row = await listed(fc, letter, "--all")
    assert row is not None
    assert row["handled"]["by"] == operator()


async def test_all_letters_of_a_topic_are_handled_at_once_and_those_of_others_stay(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice, fc: Run
) -> None:
    letter = await poison(kafka, bus, back_office)
    key = f"order-{back_office.foreign_order_id()}"
    await bus.raw("stock.rollback", key.encode(), b"no JSON")
    other = (await dead(kafka, "stock.rollback", key)).letter
    done = await fc("dlq", "discard", "--all", "--topic", "payment.failed", "--reason", WHY, "--yes")
    assert done.exit_code == 0
    assert letter.place in done.stdout
    assert lines(await fc("dlq", "ls", "--topic", "payment.failed", "--json")) == []
    assert await listed(fc, other)


async def test_a_record_in_the_journal_that_is_no_entry_hides_nothing(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice
) -> None:
    letter = await poison(kafka, bus, back_office)
    await kafka.make(journal.TOPIC, "payment.failed.dlq", journal.CONFIGS)
    for value in (b"junk", b"[]", b'{"topic": "payment.failed"}', None):
        await kafka.send(journal.TOPIC, b"payment.failed.dlq/" + letter.place.encode(), value)
    assert (await LetterBox(kafka).pick(letter.topic, letter.place)).handled is None


async def test_an_event_that_came_before_its_order_is_applied_once_when_it_is_replayed(
    kafka: KafkaRecords, bus: Bus, back_office: BackOffice, sources: Sources
) -> None:
    order = back_office.foreign_order_id()
    body = orjson.dumps({"order_id": order, "status": "EXPIRED", "topic": "payment.failed", "reason": "expired"})
    # As a Go producer sends it: without an id of its own.
    await bus.raw("payment.failed", f"order-{order}".encode(), body)
    item = await dead(kafka, "payment.failed", f"order-{order}", 90)
    assert item.letter.reason == "not_yet"
    async with connections.database("orderfc", sources.databases["orderfc"]) as database:
        await _restore(database, order)
        box = LetterBox(kafka)
        for _ in range(2):
            seen = await box.pick(item.letter.topic, item.letter.place)
            steps = [
                step async for step in carry_out(box, [seen], LetterCommand(Action.REPLAYED, "ann", WHY, force=True))
            ]
            assert [step.refusal for step in steps] == [None]
            await bus.consumed()
        applied = await database.fetchval(
            "SELECT count(*) FROM order_history WHERE order_id = $1 AND status = 3", order
        )
        rollbacks = await database.fetchval("SELECT count(*) FROM outbox WHERE key = $1", f"order-{order}")
        assert (applied, rollbacks) == (1, 1)
        assert await _inbox(database, item.letter.identity)
    sent = [record for record in await kafka.read("payment.failed") if record.key == f"order-{order}".encode()]
    assert [record.value for record in sent] == [body] * 3
    assert [dict(record.headers).get("ce_id") for record in sent[1:]] == [str(item.letter.event_id).encode()] * 2


async def _restore(database: asyncpg.Connection, order: int) -> None:
    """Insert an order into orderfc's database, as a restore does."""
    await database.execute(
        "INSERT INTO orders (id, user_id, status, total_amount, total_qty, currency, payment_method, shipping_address)"
        " OVERRIDING SYSTEM VALUE VALUES ($1, 1, 0, 1000, 1, 'IDR', 'BANK_TRANSFER', 'Jalan Merdeka 1')",
        order,
    )
    await database.execute(
        "INSERT INTO order_items (order_id, product_id, name, quantity, price) VALUES ($1, 1, 'Thing', 1, 1000)", order
    )
    await database.execute("INSERT INTO order_history (order_id, status, cause) VALUES ($1, 0, 'checkout')", order)


async def _inbox(database: asyncpg.Connection, event_id: UUID) -> bool:
    return bool(
        await database.fetchval("SELECT true FROM inbox WHERE consumer = 'orderfc' AND event_id = $1", event_id)
    )
