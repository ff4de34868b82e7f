"""The floor of a checkout stores the same rows as a checkout does."""

from typing import Any

import asyncpg
import pytest

from bench.speed.checkout import WHOLE
from bench.speed.errors import Unmeasured
from bench.speed.floors import CHECKOUT, pgbench, read_tps
from bench.speed.reads import written_out
from productfc.repository.search import Search, statement_of_all
from testkit import Databases


def test_transactions_a_second_are_read() -> None:
    assert read_tps("latency average = 1.0 ms\ntps = 7523.123456 (without initial connection time)\n") == 7523.123456
    with pytest.raises(Unmeasured, match="no result: connection refused"):
        read_tps("connection refused")


def test_the_statement_of_a_search_is_written_out_with_its_values() -> None:
    text = written_out(*statement_of_all(Search("o'kopi", order_by="price", sort="desc")))
    assert "ILIKE '%o''kopi%'" in text
    assert "p.price AS place" in text
    assert "LIMIT 10 OFFSET 0" in text
    assert text.endswith(";\n")
    assert "$" not in text


async def test_the_floor_of_a_checkout_stores_whole_orders(postgres_server: dict[str, Any]) -> None:
    made = await Databases(postgres_server).make("orderfc")
    server = {
        "PGHOST": str(made["db_host"]),
        "PGPORT": str(made["db_port"]),
        "PGUSER": str(made["db_user"]),
        "PGPASSWORD": str(made["db_password"]),
    }
    assert pgbench(server, made["db_name"], CHECKOUT, 1) > 0
    connection = await asyncpg.connect(
        host=made["db_host"],
        port=made["db_port"],
        user=made["db_user"],
        password=made["db_password"],
        database=made["db_name"],
    )
    stored = await connection.fetchval("SELECT count(*) FROM orders")
    await connection.execute("CREATE INDEX ON outbox (key)")
    whole = await connection.fetchval(WHOLE, 0)
    await connection.close()
    assert stored == whole > 0
