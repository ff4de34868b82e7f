"""What orderfc is made of: its neighbours, its handlers and its loops."""

from functools import partial

from chassis.grpc.users import UserClient
from chassis.loops import Loop
from chassis.resources import Parts, Resources
from chassis.service import Service
from orderfc import events
from orderfc.client.products import ProductClient
from orderfc.config import Settings
from orderfc.handler import http, kafka
from orderfc.repository import idempotency
from orderfc.usecase.checkout import Checkout

PURGE_INTERVAL_S = 600


async def build(settings: Settings) -> Parts:
    """Open the resources and describe the parts; nothing is connected to yet."""
    resources = Resources(settings)
    db = resources.db
    users = resources.add("userfc", UserClient(settings.user_service_addr, settings.grpc_credentials))
    products = resources.add("productfc", ProductClient(settings))
    purge_keys = partial(idempotency.purge, db, settings.idempotency_keep_hours)
    return Parts(
        resources,
        resources.verifier(users),
        state={"db": db, "checkout": Checkout(settings, db, products)},
        handlers=kafka.handlers(db),
        loops=[Loop("idempotency_keys", PURGE_INTERVAL_S, purge_keys)],
    )


SERVICE = Service(
    "orderfc",
    Settings,
    build,
    routers=[http.router],
    description="Checkout, order history and order status.",
    topics=(*events.PUBLISHED, *events.CONSUMED),
)
