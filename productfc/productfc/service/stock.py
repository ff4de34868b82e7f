"""The rules of the stock ledger: load the orders' rows locked, decide one claim after the other, save."""

from collections.abc import Sequence

from chassis.db.database import Tx
from productfc.model import Claim, Decision
from productfc.repository import stock


async def take(tx: Tx, claims: Sequence[Claim]) -> list[Decision]:
    """Take each claim's lines, all or nothing. An order that has ledger rows takes nothing."""
    if not claims:
        return []
    await stock.lock_orders(tx, claims)
    books = await stock.load_for_take(tx, claims)
    decisions = [books.take(claim) for claim in claims]
    await stock.save(tx, claims, decisions)
    return decisions


async def give_back(tx: Tx, claims: Sequence[Claim]) -> list[Decision]:
    """Return what each order holds to stock. An order without ledger rows can never take anything afterwards."""
    if not claims:
        return []
    await stock.lock_orders(tx, claims)
    books = await stock.load_for_return(tx, claims)
    decisions = [books.give_back(claim) for claim in claims]
    await stock.save(tx, claims, decisions)
    return decisions
