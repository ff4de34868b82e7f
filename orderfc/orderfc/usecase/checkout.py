"""Checkout: price a basket by productfc's answer, then store the order, its events and its key in one statement."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from chassis import telemetry
from chassis.db.database import Database
from chassis.failpoint import failpoint
from chassis.money import check_amount
from orderfc import events
from orderfc.client.products import ProductClient
from orderfc.config import Settings
from orderfc.errors import KeyReused, RequestInProgress
from orderfc.model import Draft, Wanted, check_total, merge, priced
from orderfc.repository import idempotency, orders
from orderfc.repository.idempotency import Lease

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What a customer asks for. `request_hash` (32 bytes) stands for the whole body; `key` is None without one."""

    user_id: int
    items: Sequence[Wanted]
    payment_method: str
    shipping_address: str
    key: str | None
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """The order's number, and whether it comes from an earlier request with the same key."""

    order_id: int
    replayed: bool = False


class Checkout:
    """Places orders."""

    def __init__(self, settings: Settings, db: Database, products: ProductClient) -> None:
        self._settings = settings
        self._db = db
        self._products = products
        self._freeing: set[asyncio.Task[None]] = set()

    async def __call__(self, request: CheckoutRequest) -> Outcome:
        """Place an order, or answer what the same key was answered before.

        Raises Invalid, NotFound, InsufficientStock, PriceMismatch, Unavailable, KeyReused, RequestInProgress; whatever
        is raised, nothing was written and the key is free again, unless another request holds it.
        """
        basket = merge(request.items)
        for line in basket:
            if line.price is not None:
                check_amount(line.price, self._settings.currency)
        if request.key is None:
            return Outcome(await self._place(request, basket, None))
        lease = Lease(request.user_id, request.key, request.request_hash)
        try:
            found = await idempotency.reserve(self._db, lease, self._settings.idempotency_lease_s)
            if not found.acquired:
                return _answered_before(found)
            return Outcome(await self._place(request, basket, lease))
        except (KeyReused, RequestInProgress):
            raise
        except BaseException:
            await self._free(lease)
            raise

    async def _place(self, request: CheckoutRequest, basket: Sequence[Wanted], lease: Lease | None) -> int:
        products = await self._products.by_id(line.product_id for line in basket)
        draft = Draft(
            user_id=request.user_id,
            lines=priced(basket, products),
            currency=self._settings.currency,
            payment_method=request.payment_method,
            shipping_address=request.shipping_address,
        )
        check_total(draft)
        await failpoint("orderfc.before_commit")
        order_id = await orders.place(self._db, draft, _payloads(draft), lease)
        if order_id is None:
            raise RequestInProgress
        await failpoint("orderfc.after_commit")
        self._db.wake_relay()
        log.info("order placed", order_id=order_id, total_amount=str(draft.total_amount), lines=len(draft.lines))
        return order_id

    async def _free(self, lease: Lease) -> None:
        """Free the key even while this request is being cancelled; a key that can't be freed waits for its lease."""
        task = asyncio.create_task(self._try_free(lease))
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)
        await asyncio.shield(task)

    async def _try_free(self, lease: Lease) -> None:
        try:
            await idempotency.free(self._db, lease)
        except Exception as error:
            # The refusal that led here matters more than this.
            log.warning("idempotency key stays until its lease ends", error=str(error))


def _answered_before(found: idempotency.Reservation) -> Outcome:
    if not found.same_request:
        raise KeyReused
    if found.order_id is None:
        raise RequestInProgress
    return Outcome(found.order_id, replayed=True)


def _payloads(draft: Draft) -> orders.Payloads:
    created = events.OrderCreated(
        user_id=draft.user_id,
        total_amount=draft.total_amount,
        payment_method=draft.payment_method,
        shipping_address=draft.shipping_address,
        currency=draft.currency,
        products=[
            events.OrderedProduct(product_id=line.product_id, name=line.name, quantity=line.quantity, price=line.price)
            for line in draft.lines
        ],
    )
    updated = events.StockUpdated(
        products=[events.StockQuantity(product_id=line.product_id, quantity=line.quantity) for line in draft.lines],
        event_time=datetime.now(UTC),
    )
    return orders.Payloads(created.model_dump_json(), updated.model_dump_json(), telemetry.inject({}))
