"""Every page of every search is what a plain statement says: all matches, their order with ties by id, their number."""

from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import product as every

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productfc.config import Settings
from productfc.model import Product
from productfc.repository.search import Search, Searches
from testkit.properties import examples

from .conftest import Shop, open_shop

# Short texts of few letters, so that names repeat, and a part of one is found in many.
LETTERS = ["a", "A", "b", "%", "_", "\\", "é"]
PLAIN = """
SELECT p.id, p.name, p.description, p.price, p.stock, p.category_id, c.name AS category_name
FROM products p JOIN product_categories c ON c.id = p.category_id
WHERE p.deleted_at IS NULL AND ($1::text IS NULL OR strpos(lower(p.name), lower($1)) > 0)
  AND ($2::text IS NULL OR c.name = $2) AND ($3::numeric IS NULL OR p.price >= $3)
  AND ($4::numeric IS NULL OR p.price <= $4)
ORDER BY {order} {direction}, p.id
"""


@pytest.fixture(scope="module")
async def stocked(settings: Settings) -> AsyncIterator[Shop]:
    """A shop whose products share names, prices, stocks and categories, some of them deleted."""
    async with open_shop(settings) as shop:
        names = ["".join(letters) for letters in every(LETTERS, repeat=3)]
        categories = [await shop.category(name) for name in ("Kitchen", "kitchens", "K%")]
        await shop.value(
            "INSERT INTO products (name, price, stock, category_id, deleted_at)"
            " SELECT name, n % 7, n % 5, ($2::bigint[])[n % 3 + 1], CASE WHEN n % 11 = 0 THEN now() END"
            " FROM unnest($1::text[]) WITH ORDINALITY AS given (name, n)",
            names,
            categories,
        )
        yield shop


searches = st.builds(
    Search,
    name=st.none() | st.text(LETTERS, min_size=1, max_size=2),
    category=st.none() | st.sampled_from(["Kitchen", "kitchens", "KITCHEN", "K%"]),
    min_price=st.none() | st.integers(0, 7).map(Decimal),
    max_price=st.none() | st.integers(0, 7).map(Decimal),
    order_by=st.sampled_from(["id", "name", "price", "stock"]),
    sort=st.sampled_from(["asc", "desc"]),
    page=st.integers(1, 12) | st.just(2**63 - 1),
    page_size=st.sampled_from([1, 7, 10, 100]),
)


@examples(200)
@given(searches)
async def test_every_page_of_a_search_is_its_part_of_all_matches_and_carries_their_number(
    stocked: Shop, query: Search
) -> None:
    plain = PLAIN.format(order=f"p.{query.order_by}", direction=query.sort)
    async with stocked.db.driver() as connection:
        rows = await connection.fetch(plain, query.name, query.category, query.min_price, query.max_price)
    begin = (query.page - 1) * query.page_size
    expected = [Product(*row) for row in rows[begin : begin + query.page_size]], len(rows)
    searches = Searches(stocked.db)
    assert await searches(query) == expected
    # Again, with the number of matches known.
    assert await searches(query) == expected
