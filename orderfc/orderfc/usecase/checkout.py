"""Checkout: reserve the key, price the basket with productfc's answer, then store order, events and key."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from chassis import clock, logging, telemetry
from chassis.auth.limits import Limit
from chassis.batching import Batches
from chassis.db.database import Database
from chassis.errors import is_without_effect
from chassis.failpoint import failpoint
from chassis.money import check_amount
from orderfc import events
from orderfc.client.products import ProductClient
from orderfc.config import Settings
from orderfc.errors import KeyReused, RequestInProgress
from orderfc.model import BasketLine, Draft, Product, check_total, merge, price_basket
from orderfc.repository import idempotency
from orderfc.repository.idempotency import Lease, Reservation
from orderfc.repository.placing import NewOrder, Payloads
from orderfc.usecase.place_order import PlaceOrder

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """A checkout request. With an idempotency key, `request_hash` (32 bytes) identifies the body."""

    user_id: int
    items: Sequence[BasketLine]
    payment_method: str
    shipping_address: str
    key: str | None
    request_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The order's number. `replayed` is true if an earlier request with the same key placed it."""

    order_id: int
    replayed: bool = False


class Checkout:
    """Checks orders out.

    It keeps the idempotency keys that wait for a batched reservation, and the tasks that release the keys of failed
    checkouts.
    """

    def __init__(self, settings: Settings, db: Database, products: ProductClient, limit: Limit) -> None:
        self._settings = settings
        self._limit = limit
        self._db = db
        self._products = products
        self._place_order = PlaceOrder(db, settings.max_open_orders_per_user, settings.http_processes)
        # One statement can't reserve a key twice.
        self._reserving = Batches(self._reserve_all, is_without_effect, apart=lambda lease: lease.name)
        self._freeing: set[asyncio.Task[None]] = set()

    async def __call__(self, request: CheckoutRequest) -> Outcome:
        """Place an order, or return the outcome of an earlier request with the same key.

        Raises Invalid, ProductNotFound, InsufficientStock, PriceMismatch, Unavailable, KeyReused, RequestInProgress,
        TooManyTries, TooManyOpenOrders. Then nothing was written, and the key is free again unless another request
        holds it. Returning the outcome of an earlier request does not count towards a limit.
        """
        basket = merge(request.items)
        for line in basket:
            if line.price is not None:
                check_amount(line.price, self._settings.currency)
        if request.key is None:
            return Outcome(await self._place(request, basket, None))
        lease = Lease(request.user_id, request.key, request.request_hash)
        reserving = self._reserving.submit(lease)
        try:
            # Not cancelled with this request: a key can only be freed after it was reserved.
            reservation = await asyncio.shield(reserving)
            if not reservation.acquired:
                return _earlier_outcome(reservation)
            return Outcome(await self._place(request, basket, lease))
        except (KeyReused, RequestInProgress):
            raise
        except BaseException:
            await self._free(lease, reserving)
            raise

    async def _place(self, request: CheckoutRequest, basket: Sequence[BasketLine], lease: Lease | None) -> int:
        products = await self._read_products(request.user_id, basket)
        draft = Draft(
            user_id=request.user_id,
            lines=price_basket(basket, products),
            currency=self._settings.currency,
            payment_method=request.payment_method,
            shipping_address=request.shipping_address,
        )
        check_total(draft)
        # The payloads carry the trace of this request, so they are made here.
        order = NewOrder(draft, _payloads(draft), lease)
        await failpoint("orderfc.before_commit")
        order_id = await self._place_order(order)
        await failpoint("orderfc.after_commit")
        self._db.wake_relay()
        telemetry.about_order(order_id)
        amount, lines = str(draft.total_amount), len(draft.lines)
        logging.log_line(__name__, "order placed", order_id=order_id, total_amount=amount, lines=lines)
        return order_id

    async def _read_products(self, user_id: int, basket: Sequence[BasketLine]) -> dict[int, Product]:
        """Read the products of a basket and count the try at the same time. A refused try wins over productfc's error.

        Raises TooManyTries, Unavailable.
        """
        self._limit.test_local(str(user_id))
        counting = asyncio.create_task(self._limit.hit(str(user_id)))
        try:
            return await self._products.by_id(line.product_id for line in basket)
        finally:
            await counting

    async def _reserve_all(self, leases: Sequence[Lease]) -> Sequence[Reservation]:
        return await idempotency.reserve(self._db, leases, self._settings.idempotency_lease_s)

    async def _free(self, lease: Lease, reserving: asyncio.Future[Reservation]) -> None:
        """Free the key, even if this request is being cancelled. A key that can't be freed is free after its lease."""
        task = asyncio.create_task(self._try_free(lease, reserving))
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)
        await asyncio.shield(task)

    async def _try_free(self, lease: Lease, reserving: asyncio.Future[Reservation]) -> None:
        try:
            await asyncio.wait([reserving])
            await idempotency.free(self._db, lease)
        except Exception as error:
            # The caller gets the error that led here, not this one.
            log.warning("idempotency key stays until its lease ends", error=str(error))


def _earlier_outcome(reservation: Reservation) -> Outcome:
    if not reservation.same_request:
        raise KeyReused
    if reservation.order_id is None:
        raise RequestInProgress
    return Outcome(reservation.order_id, replayed=True)


def _payloads(draft: Draft) -> Payloads:
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
        event_time=clock.now(),
    )
    return Payloads(created.model_dump_json(), updated.model_dump_json(), telemetry.inject({}))
