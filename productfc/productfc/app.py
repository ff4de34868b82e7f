"""The parts of productfc: its neighbour, its cache, its handlers and its loop."""

from functools import partial

from chassis.db.database import Database
from chassis.grpc.users import UserClient
from chassis.loops import Loop
from chassis.redis.client import RedisClient
from chassis.resources import Parts, Resources
from chassis.service import Service
from productfc import events
from productfc.config import Settings
from productfc.handler import admin, http, kafka, schemas
from productfc.repository import admin_actions, products
from productfc.repository.cache import REPEAT_INTERVAL_S, ProductCache
from productfc.repository.search import Searches
from productfc.usecase.note_retry import note_retry

SWEEP_INTERVAL_S = 1


async def build(settings: Settings) -> Parts:
    """Open the resources and describe the parts. Nothing connects yet."""
    resources = Resources(settings)
    db = resources.db
    users = resources.add("userfc", UserClient.of(settings))
    cache, searches = product_cache(db, resources.redis), Searches(db)
    return Parts(
        resources,
        resources.verifier(users),
        state={"db": db, "cache": cache, "searches": searches},
        shortcuts=http.shortcuts(db, cache, searches),
        handlers=kafka.handlers(db, cache),
        on_retry=note_retry,
        purges=[partial(admin_actions.purge, days=settings.admin_action_keep_days)],
        # `api` reads and changes products too, so its failed invalidations are repeated there as well.
        api_loops=[
            Loop("cache_sweep", SWEEP_INTERVAL_S, cache.sweep, cache.wake),
            Loop("cache_repeat", REPEAT_INTERVAL_S, cache.repeat),
        ],
    )


def product_cache(db: Database, redis: RedisClient) -> ProductCache:
    async def load(product_id: int) -> bytes | None:
        product = await products.by_id(db, product_id)
        return None if product is None else schemas.encode(product)

    return ProductCache(redis, load, partial(products.changed_since, db), schemas.SHAPE)


SERVICE = Service(
    "productfc",
    Settings,
    build,
    routers=[http.router, admin.router],
    description="Products, categories and stock.",
    topics=(*events.PUBLISHED, *events.CONSUMED),
)
