"""SQL outside its place fails the check, whatever way it takes to the database."""

from collections.abc import Callable, Mapping

import pytest

from lint.sources import Source
from lint.sql import problems

Plant = Callable[[Mapping[str, str]], list[Source]]

DRIVER = "async def work(tx):\n    await tx.driver().execute(STATEMENT)\n"
FETCH = "async def work(connection):\n    return await connection.fetchrow(STATEMENT, 1)\n"


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("orderfc/orderfc/usecase/checkout.py", DRIVER, "it calls .driver()"),
        ("orderfc/orderfc/service/orders.py", FETCH, "it calls .fetchrow()"),
        ("userfc/userfc/app.py", "connection = db.connection()\n", "it calls .connection()"),
        ("productfc/productfc/client/x.py", "rows = connection.fetch(query=QUERY)\n", "it calls .fetch()"),
        ("userfc/userfc/handler/http.py", "async def ping(db):\n    await db.execute('x')\n", "it calls .execute()"),
        ("paymentfc/paymentfc/service/settlement.py", "from sqlalchemy import text\n", "it imports sqlalchemy"),
        ("paymentfc/paymentfc/app.py", "import asyncpg\n", "it imports asyncpg"),
        ("chassis/chassis/kafka/relay.py", "def f():\n    import asyncpg.exceptions\n", "it imports asyncpg"),
        ("chassis/chassis/http/app.py", "from alembic import command\n", "it imports alembic"),
        ("chassis/chassis/kafka/relay.py", "Q = 'SELECT 1'\n", "it contains SQL text (SELECT ...)"),
        (
            "orderfc/orderfc/usecase/x.py",
            'Q = """\n  UPDATE orders SET status = 1"""\n',
            "it contains SQL text (UPDATE",
        ),
        ("orderfc/orderfc/usecase/x.py", 'Q = f"DELETE FROM {table}"\n', "it contains SQL text (DELETE"),
        ("orderfc/orderfc/usecase/x.py", 'Q = "WITH due (id) AS (SELECT 1) SELECT 2"\n', "it contains SQL text (WITH"),
    ],
)
def test_sql_outside_its_place_fails(plant: Plant, path: str, text: str, problem: str) -> None:
    first = problems(plant({path: text}))[0]
    assert first.startswith(f"{path}:")
    assert problem in first


@pytest.mark.parametrize(
    "path",
    [
        "orderfc/orderfc/repository/orders.py",
        "userfc/userfc/migrations/versions/0001_users.py",
        "chassis/chassis/db/outbox.py",
        "scripts/fc/audit/reading/queries.py",
        "orderfc/tests/integration/test_events.py",
    ],
)
def test_sql_in_its_place_passes(plant: Plant, path: str) -> None:
    assert problems(plant({path: f"import asyncpg\nimport sqlalchemy\nQ = 'SELECT 1'\n{DRIVER}{FETCH}"})) == []


@pytest.mark.parametrize(
    "text",
    [
        "async def work(pipe):\n    await pipe.execute()\n",
        '"""Update the order."""\nTEXT = "Select a product, with care"\n',
        "async def work(client):\n    await client.get('/x')\n",
    ],
)
def test_what_only_resembles_sql_passes(plant: Plant, text: str) -> None:
    assert problems(plant({"orderfc/orderfc/usecase/checkout.py": text})) == []


def test_the_errors_of_the_driver_may_be_named_where_they_are_judged(plant: Plant) -> None:
    path = "chassis/chassis/errors.py"
    assert problems(plant({path: "import asyncpg\nfrom sqlalchemy import exc\n"})) == []
    assert len(problems(plant({path: DRIVER}))) == 2
