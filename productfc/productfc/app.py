"""The composition root of productfc: settings become resources, resources the HTTP app, the consumer and the relay."""

import asyncio
from functools import partial

from chassis.auth.revocation import Revocations
from chassis.auth.tokens import TokenVerifier
from chassis.db import housekeeping, migrations
from chassis.db.database import Database
from chassis.grpc.users import UserClient
from chassis.http.probes import Readiness
from chassis.kafka.consumer import ConsumerRunner, Handler
from chassis.kafka.producer import Producer
from chassis.kafka.relay import Relay
from chassis.loops import every
from chassis.redis import RedisClient
from chassis.service import Parts, Service
from productfc import events
from productfc.config import Settings
from productfc.handler import kafka, schemas
from productfc.handler.api import application
from productfc.repository import products
from productfc.repository.cache import ProductCache

SWEEP_INTERVAL_S = 1


def handlers(db: Database, cache: ProductCache) -> dict[str, Handler]:
    """Give the table topic -> handler."""
    return {
        events.STOCK_UPDATED: kafka.stock_updated(db, cache),
        events.STOCK_ROLLBACK: kafka.stock_rollback(db, cache),
    }


def product_cache(db: Database, redis: RedisClient) -> ProductCache:
    """Make the cache of the answers of GET /v1/products/{id}."""

    async def load(product_id: int) -> bytes | None:
        product = await products.by_id(db, product_id)
        return None if product is None else schemas.encode(product)

    return ProductCache(redis, load, partial(products.changed_since, db))


async def sweep(cache: ProductCache, stop: asyncio.Event) -> None:
    """Repeat invalidations that Redis did not take, until `stop` is set."""
    await every(SWEEP_INTERVAL_S, cache.sweep, stop, name="cache_sweep", wake=cache.wake)


async def build(settings: Settings, workers: bool) -> Parts:
    """Open the resources and put the parts together; nothing is connected to yet."""
    db = Database(settings)
    producer = Producer(settings)
    redis = RedisClient(settings)
    users = UserClient(settings.user_service_addr, settings.grpc_credentials)
    cache = product_cache(db, redis)

    ready = Readiness(partial(migrations.check_current, db, settings.service))
    ready.add("database", db.ping, critical=True)
    ready.add("kafka", producer.ping)
    ready.add("redis", redis.ping)
    ready.add("userfc", users.ping)

    app = application(settings, ready)
    app.state.db = db
    app.state.cache = cache
    app.state.verifier = TokenVerifier(settings.jwt_secret, Revocations(redis, users))

    # The sweep runs wherever products are read or changed, so with `api` too.
    parts = Parts(app=app, close=[db.close, redis.close, users.close, producer.close])
    parts.tasks = [("cache sweep", partial(sweep, cache))]
    if workers:
        consumer = ConsumerRunner(settings, settings.service, handlers(db, cache), producer)
        parts.tasks += [("consumer", consumer.run), ("housekeeping", partial(housekeeping.run, db))]
        parts.last = [("relay", Relay(settings, db, producer).run)]
    return parts


SERVICE = Service("productfc", Settings, build, topics=(*events.PUBLISHED, *events.CONSUMED))
