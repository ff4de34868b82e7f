"""Which invoices of an order's number are the order's own."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from fc.audit.reading.enrich import Enricher

PLACED = datetime(2026, 11, 28, tzinfo=UTC)
EARLIER = PLACED - timedelta(minutes=20)


def dossier(*invoices: str) -> Any:
    """An order whose payments name these invoices."""
    orders = [SimpleNamespace(created_at=PLACED)]
    return SimpleNamespace(orders=orders, payments=[SimpleNamespace(invoice_id=each) for each in invoices])


@pytest.mark.parametrize(
    ("created", "named", "own"),
    [
        # Made by the simulator in the moment in which only the databases have heard of a moved clock.
        (EARLIER, ("own",), True),
        (EARLIER, ("another",), False),
        (EARLIER, (), False),
        (PLACED, ("another",), True),
    ],
)
def test_an_invoice_is_the_orders_own_when_its_payment_names_it_or_it_is_not_older(
    created: datetime, named: tuple[str, ...], own: bool
) -> None:
    invoice: Any = SimpleNamespace(id="own", created=created)
    assert Enricher.is_of(invoice, dossier(*named)) is own
