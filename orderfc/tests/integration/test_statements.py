"""How many statements a checkout and an event cost. A path that gains one fails here, and needs a reason."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from orderfc.config import Settings

from .conftest import Shop, body, deliver_together, open_shop
from .test_runs import PAID, PAYMENT_FAILED, STOCK_REJECTED, event, placed

UNKNOWN = body({"product_id": 9, "quantity": 1})


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the first words of the statements that are made inside the block."""
    made: list[str] = []

    def noting(name: str) -> Any:
        run = getattr(asyncpg.Connection, name)

        async def noted(connection: asyncpg.Connection, query: str, *arguments: Any, **named: Any) -> Any:
            made.append(query.split()[0].rstrip(";").upper())
            return await run(connection, query, *arguments, **named)

        return noted

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval"):
            monkeypatch.setattr(asyncpg.Connection, name, noting(name))
        yield made


async def test_a_checkout_is_one_statement_and_one_more_with_a_key(shop: Shop) -> None:
    user = shop.user()
    with statements() as made:
        assert (await shop.checkout(user, body())).status_code == 201
    assert made == ["WITH"]
    with statements() as made:
        assert (await shop.checkout(user, body(), "key")).status_code == 201
    assert made == ["INSERT", "WITH"]


async def test_a_repeat_is_one_statement_and_a_refusal_only_what_its_key_costs(shop: Shop) -> None:
    user = shop.user()
    await shop.checkout(user, body(), "key")
    with statements() as made:
        assert (await shop.checkout(user, body(), "key")).headers["Idempotent-Replayed"] == "true"
    assert made == ["INSERT"]
    with statements() as made:
        assert (await shop.checkout(user, UNKNOWN)).status_code == 404
    assert made == []
    with statements() as made:
        assert (await shop.checkout(user, UNKNOWN, "another")).status_code == 404
    assert made == ["INSERT", "DELETE"]


async def test_close_to_the_limit_of_open_orders_a_checkout_is_placed_in_a_transaction(settings: Settings) -> None:
    async with open_shop(settings.model_copy(update={"max_open_orders_per_user": 2})) as strict:
        with statements() as made:
            assert (await strict.checkout(strict.user(), body())).status_code == 201
        assert made == ["WITH", "BEGIN", "SELECT", "WITH", "COMMIT"]


@pytest.mark.parametrize(("key", "most"), [(None, 4), ("key", 8)])
async def test_fifty_checkouts_at_once_share_their_statements(shop: Shop, key: str | None, most: int) -> None:
    users = [shop.user() for _ in range(50)]
    with statements() as made:
        answers = await asyncio.gather(*(shop.checkout(user, body(), key) for user in users))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["order_id"] for answer in answers}) == 50
    assert len(made) <= most
    assert len(shop.productfc.calls) <= 4


@pytest.mark.parametrize("topic", [PAID, STOCK_REJECTED])
@pytest.mark.parametrize("size", [1, 50])
async def test_an_event_that_publishes_nothing_is_one_statement_and_so_is_a_run(
    shop: Shop, topic: str, size: int
) -> None:
    run = [event(topic, await placed(shop.db)) for _ in range(size)]
    for _ in ("new", "repeated"):
        with statements() as made:
            await deliver_together(shop.db, run)
        assert made == ["WITH"]
    with statements() as made:
        await shop.deliver(event(topic, await placed(shop.db)))
    assert made == ["WITH", "WITH"], "the checkout, and the event"


@pytest.mark.parametrize("size", [1, 50])
async def test_a_failed_payment_is_a_transaction_with_what_its_rollback_needs(shop: Shop, size: int) -> None:
    run = [event(PAYMENT_FAILED, await placed(shop.db)) for _ in range(size)]
    with statements() as made:
        await deliver_together(shop.db, run)
    assert made == ["BEGIN", "WITH", "SELECT", "WITH", "COMMIT"]
    with statements() as made:
        await deliver_together(shop.db, run)
    assert made == ["BEGIN", "WITH", "COMMIT"]
