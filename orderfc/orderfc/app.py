"""The parts of orderfc: its neighbours, its handlers and its loops."""

from functools import partial

from chassis.auth.limits import Limit
from chassis.grpc.users import UserClient
from chassis.resources import Parts, Resources
from chassis.service import Service
from orderfc import events
from orderfc.client.products import ProductClient
from orderfc.config import Settings
from orderfc.handler import admin, http, kafka
from orderfc.repository import idempotency, orders
from orderfc.usecase.checkout import Checkout


async def build(settings: Settings) -> Parts:
    """Open the resources and describe the parts; nothing is connected to yet."""
    resources = Resources(settings)
    db = resources.db
    users = resources.add("userfc", UserClient.of(settings))
    products = resources.add("productfc", ProductClient(settings))
    limit = Limit(resources.redis, "checkout_user", settings.checkout_limit_per_user)
    return Parts(
        resources,
        resources.verifier(users),
        state={"db": db, "checkout": Checkout(settings, db, products, limit)},
        handlers=kafka.handlers(db),
        purges=[
            partial(idempotency.purge, hours=settings.idempotency_keep_hours),
            partial(orders.erase_addresses, days=settings.order_address_keep_days),
        ],
    )


SERVICE = Service(
    "orderfc",
    Settings,
    build,
    routers=[http.router, admin.router],
    description="Checkout, order history and order status.",
    topics=(*events.PUBLISHED, *events.CONSUMED),
)
