"""Rules about the states of order, payment and stock together, by the table of combinations."""

from collections.abc import Iterator
from datetime import datetime

from fc.audit.model import Dossier
from fc.audit.rules.combinations import (
    CANCELLED,
    FAILED,
    PASSING,
    SETTLED,
    STATUS_NAMES,
    Stock,
    Triple,
    pay_state,
    stock_state,
)
from fc.audit.rules.rule import REDIS, Context, Fault, Patience, declare, rule

_PAIRS = frozenset((status, pay) for status, pay, _ in SETTLED)
_STOCKS = frozenset((status, stock) for status, _, stock in SETTLED)


def _triple(dossier: Dossier) -> Triple | None:
    """Return the combination, or None where a part is missing, which another rule reports."""
    if dossier.order is None or dossier.payment is None:
        return None
    cancelled = any(step.cause == "customer" for step in dossier.history)
    return dossier.order.status, pay_state(dossier.payment, cancelled=cancelled), stock_state(dossier.ledger)


def _since(dossier: Dossier) -> datetime:
    moments = [order.updated_at for order in dossier.orders] + [payment.update_time for payment in dossier.payments]
    return max(moments + [row.updated_at for row in dossier.ledger])


@rule("order_payment", "The states of an order and its payment match.", patience=Patience.MESSAGES)
def order_payment(dossier: Dossier, _: Context) -> Iterator[Fault]:
    triple = _triple(dossier)
    if triple and triple[:2] not in _PAIRS:
        expected = " or ".join(sorted(pay for status, pay in _PAIRS if status == triple[0])) or "no such status"
        actual = f"order {STATUS_NAMES[triple[0]]}, payment {triple[1]}"
        yield Fault(f"payment {expected}", actual, _since(dossier), excusable=triple in PASSING)


@rule("stock_held", "A cancelled or failed order holds no stock.", patience=Patience.MESSAGES)
def stock_held(dossier: Dossier, _: Context) -> Iterator[Fault]:
    order, state = dossier.order, stock_state(dossier.ledger)
    if order and order.status in (CANCELLED, FAILED) and (order.status, state) not in _STOCKS:
        expected = " or ".join(sorted(stock for status, stock in _STOCKS if status == order.status))
        actual = f"order {STATUS_NAMES[order.status]}, ledger {state}"
        passing = any((order.status, state) == (status, stock) for status, _, stock in PASSING)
        yield Fault(expected, actual, _since(dossier), excusable=passing)


@rule("stock_taken", "The stock of every created or completed order is taken.", patience=Patience.MESSAGES)
def stock_taken(dossier: Dossier, _: Context) -> Iterator[Fault]:
    order, state = dossier.order, stock_state(dossier.ledger)
    if order and order.status not in (CANCELLED, FAILED) and state is not Stock.TAKEN:
        actual = f"order {STATUS_NAMES[order.status]}, ledger {state}"
        passing = any((order.status, state) == (status, stock) for status, _, stock in PASSING)
        yield Fault(Stock.TAKEN, actual, _since(dossier), excusable=passing)


@rule(
    "order_combination", "The states of order, payment and stock ledger match, all three.", patience=Patience.MESSAGES
)
def combination(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Check the three where both pairs with the order are valid."""
    triple = _triple(dossier)
    if triple is None or triple in SETTLED:
        return
    status, pay, stock = triple
    if (status, pay) in _PAIRS and (status, stock) in _STOCKS:
        expected = " or ".join(sorted(each for known, paid, each in SETTLED if (known, paid) == (status, pay)))
        actual = f"order {STATUS_NAMES[status]}, payment {pay}, ledger {stock}"
        yield Fault(f"ledger {expected}", actual, _since(dossier), excusable=triple in PASSING)


@rule("ledger_states", "All ledger rows of an order are in one state.")
def ledger_states(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare the rows, which one transaction changes together."""
    if stock_state(dossier.ledger) is Stock.MIXED:
        actual = ", ".join(f"product {row.product_id} {row.state}" for row in dossier.ledger)
        yield Fault("one state", actual, max(row.updated_at for row in dossier.ledger))


@rule("ledger_lines", "The stock ledger holds the products and quantities of the order's lines.")
def ledger_lines(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare products and quantities, which never change."""
    if dossier.order is None or not dossier.ledger:
        return
    expected = {line.product_id: line.quantity for line in dossier.lines}
    actual = {row.product_id: row.quantity for row in dossier.ledger}
    if expected != actual:
        yield Fault(_quantities(expected), _quantities(actual), max(row.updated_at for row in dossier.ledger))


@rule("ledger_order", "Every stock ledger row belongs to an order.", patience=Patience.MESSAGES)
def ledger_order(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Report rows without an order: orderfc commits before it publishes stock.updated."""
    if dossier.order is None and dossier.ledger:
        since = max(row.updated_at for row in dossier.ledger)
        yield Fault("an order", f"{len(dossier.ledger)} rows {stock_state(dossier.ledger)}", since, excusable=False)


def _quantities(of: dict[int, int]) -> str:
    return ", ".join(f"{quantity} of product {product}" for product, quantity in sorted(of.items()))


declare(
    "product_stock",
    "No product's stock is below zero.",
    sql={
        "productfc": """
            SELECT 'product ' || id, NULL::bigint, '0 or more', stock::text, updated_at FROM products WHERE stock < 0"""
    },
)
declare(
    "stock_conserved",
    "A product's stock is the sum of its adjustments less the units that orders hold.",
    sql={
        "productfc": """
            WITH adjusted AS (SELECT product_id, sum(units) AS units FROM stock_adjustments GROUP BY 1),
            held AS (SELECT product_id, sum(quantity) AS units FROM stock_ledger WHERE state = 'TAKEN' GROUP BY 1)
            SELECT 'product ' || p.id, NULL::bigint,
              coalesce(g.units, 0) || ' adjusted - ' || coalesce(h.units, 0) || ' held by orders', p.stock::text,
              p.updated_at
            FROM products p LEFT JOIN adjusted g ON g.product_id = p.id LEFT JOIN held h ON h.product_id = p.id
            WHERE p.stock <> coalesce(g.units, 0) - coalesce(h.units, 0)"""
    },
)
declare(
    "product_cached",
    "A product in the cache has the name, price and stock of its row.",
    patience=Patience.MESSAGES,
    needs=(REDIS,),
)
declare(
    "ledger_product",
    "Every product whose stock was taken exists.",
    sql={
        "productfc": """
            SELECT 'product ' || l.product_id, l.order_id, 'a product', 'none, but ' || l.quantity || ' ' || l.state,
              l.updated_at
            FROM stock_ledger l LEFT JOIN products p ON p.id = l.product_id
            WHERE p.id IS NULL AND l.state IN ('TAKEN', 'RELEASED')"""
    },
)
