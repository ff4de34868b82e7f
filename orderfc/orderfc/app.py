"""The composition root of orderfc: settings become resources, resources the HTTP app, the consumer and the relay."""

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
from orderfc import events
from orderfc.client.products import ProductClient
from orderfc.config import Settings
from orderfc.handler import kafka
from orderfc.handler.api import application
from orderfc.repository import idempotency
from orderfc.usecase.checkout import Checkout

PURGE_INTERVAL_S = 600


def handlers(db: Database) -> dict[str, Handler]:
    """Give the table topic -> handler."""
    return {
        events.PAYMENT_SUCCESS: kafka.payment_result(db),
        events.PAYMENT_FAILED: kafka.payment_result(db),
        events.STOCK_REJECTED: kafka.stock_rejected(db),
    }


async def purge_keys(settings: Settings, db: Database, stop: asyncio.Event) -> None:
    """Forget old idempotency keys until `stop` is set."""
    work = partial(idempotency.purge, db, settings.idempotency_keep_hours)
    await every(PURGE_INTERVAL_S, work, stop, name="idempotency_keys")


async def build(settings: Settings, workers: bool) -> Parts:
    """Open the resources and put the parts together; nothing is connected to yet."""
    db = Database(settings)
    producer = Producer(settings)
    redis = RedisClient(settings)
    users = UserClient(settings.user_service_addr, settings.grpc_credentials)
    products = ProductClient(settings)

    ready = Readiness(partial(migrations.check_current, db, settings.service))
    ready.add("database", db.ping, critical=True)
    ready.add("kafka", producer.ping)
    ready.add("redis", redis.ping)
    ready.add("userfc", users.ping)
    ready.add("productfc", products.ping)

    app = application(settings, ready)
    app.state.db = db
    app.state.verifier = TokenVerifier(settings.jwt_secret, Revocations(redis, users))
    app.state.checkout = Checkout(settings, db, products)

    parts = Parts(app=app, close=[db.close, redis.close, users.close, products.close, producer.close])
    if workers:
        consumer = ConsumerRunner(settings, settings.service, handlers(db), producer)
        parts.tasks = [
            ("consumer", consumer.run),
            ("housekeeping", partial(housekeeping.run, db)),
            ("idempotency keys", partial(purge_keys, settings, db)),
        ]
        parts.last = [("relay", Relay(settings, db, producer).run)]
    return parts


SERVICE = Service("orderfc", Settings, build, topics=(*events.PUBLISHED, *events.CONSUMED))
