"""Place priced orders: those of different customers that wait together in one statement."""

from collections.abc import Sequence

from chassis.batching import Batches
from chassis.db.database import POOL_SIZE, Database
from chassis.errors import is_without_effect
from orderfc.errors import RequestInProgress, TooManyOpenOrders
from orderfc.repository import placing
from orderfc.repository.placing import NewOrder, Placed
from orderfc.service import measures

# So close to the limit of open orders, times HTTP_PROCESSES, a customer's checkouts are placed one after the other, so
# that none exceeds it. As many statements as four replicas can run at the same time: each process has eight
# connections, and a statement has at most one order of a customer.
CLOSE_TO_LIMIT = 4 * POOL_SIZE


class PlaceOrder:
    """Places orders. It keeps the orders that wait for a batch."""

    def __init__(self, db: Database, max_open: int, processes: int = 1) -> None:
        self._db = db
        self._max_open = max_open
        self._unlocked = max_open - CLOSE_TO_LIMIT * processes
        self._batches = Batches(self._place_all, is_without_effect, apart=lambda order: order.draft.user_id)

    async def __call__(self, order: NewOrder) -> int:
        """Return the new order's number. Raises RequestInProgress when its lease was lost, TooManyOpenOrders."""
        placed = await self._batches.submit(order)
        if placed.too_many:
            async with self._db.transaction() as tx:
                await placing.lock_customer(tx, order.draft.user_id)
                placed = await placing.place_in(tx, order, self._max_open)
        if placed.too_many:
            raise TooManyOpenOrders(self._max_open)
        if placed.order_id is None:
            raise RequestInProgress
        measures.placed()
        return placed.order_id

    async def _place_all(self, orders: Sequence[NewOrder]) -> Sequence[Placed]:
        return await placing.place(self._db, orders, self._unlocked)
