"""The composition root of paymentfc: settings become resources, resources the HTTP app, consumer, relay and loops."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import asyncpg

from chassis.auth.revocation import Revocations
from chassis.auth.tokens import TokenVerifier
from chassis.db import housekeeping, migrations
from chassis.db.database import Database
from chassis.db.outbox import OutboxRow
from chassis.grpc.users import UserClient
from chassis.http.probes import Readiness
from chassis.kafka.consumer import ConsumerRunner
from chassis.kafka.producer import Producer
from chassis.kafka.relay import Relay
from chassis.loops import every
from chassis.redis import RedisClient
from chassis.service import Parts, Service, Task
from paymentfc import events
from paymentfc.claim_loop import ClaimLoop
from paymentfc.client.xendit import Xendit
from paymentfc.config import Settings
from paymentfc.handler.api import application
from paymentfc.handler.kafka import handlers
from paymentfc.repository import audit, failed_events
from paymentfc.repository.audit import AuditLog
from paymentfc.usecase.check_invoices import CheckInvoices
from paymentfc.usecase.close_rejected_order import CloseRejectedOrder
from paymentfc.usecase.create_invoice import CreateInvoice
from paymentfc.usecase.deliver_audit import DeliverAudit
from paymentfc.usecase.describe_invoice import DescribeInvoice
from paymentfc.usecase.receive_callback import ReceiveCallback
from paymentfc.usecase.register_payment import RegisterPayment
from paymentfc.usecase.request_invoice import RequestInvoice

AUDIT_INTERVAL_S = 1.0
CLOSING_INTERVAL_S = 2.0


@dataclass
class Resources:
    """What is opened once per process; nothing connects before it is used."""

    settings: Settings
    wake_invoices: asyncio.Event = field(default_factory=asyncio.Event)
    wake_closings: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        settings = self.settings
        self.db = Database(settings)
        self.redis = RedisClient(settings)
        self.users = UserClient(settings.user_service_addr, settings.grpc_credentials)
        self.xendit = Xendit(settings.xendit_base_url, settings.xendit_secret_api_key.get_secret_value())
        self.audit_log = AuditLog(settings.mongo_uri.get_secret_value())
        self.producer = Producer(settings)
        self.create = CreateInvoice(self.db, self.xendit, self.users, settings, wake_closings=self.wake_closings)
        self.checks = CheckInvoices(self.db, self.xendit, settings)

    def readiness(self) -> Readiness:
        """Say what the service stands on; only its own database decides."""
        ready = Readiness(partial(migrations.check_current, self.db, self.settings.service))
        ready.add("database", self.db.ping, critical=True)
        ready.add("kafka", self.producer.ping)
        ready.add("redis", self.redis.ping)
        ready.add("mongodb", self.audit_log.ping)
        ready.add("userfc", self.users.ping)
        return ready


async def note_published(connection: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
    """Relay hook: tell the audit log, and the list of failed events, what has gone out."""
    await audit.add_published(connection, rows)
    await failed_events.note_published(connection, rows)


async def build(settings: Settings, workers: bool) -> Parts:
    """Put the service together."""
    resources = Resources(settings)
    db = resources.db
    app = application(settings, resources.readiness())
    app.state.db = db
    app.state.verifier = TokenVerifier(settings.jwt_secret, Revocations(resources.redis, resources.users))
    app.state.webhook_token = settings.xendit_webhook_token.get_secret_value()
    app.state.receive_callback = ReceiveCallback(db)
    app.state.describe_invoice = DescribeInvoice(db, resources.users)
    app.state.audit_log = resources.audit_log
    app.state.request_invoice = RequestInvoice(db, resources.create, resources.checks)
    closing = (resources.redis, resources.users, resources.xendit, resources.audit_log, resources.producer)
    parts = Parts(app, close=[db.close, *(resource.close for resource in closing)])
    if workers:
        relay = Relay(
            settings, db, resources.producer,
            on_published=note_published, on_parked=failed_events.add_parked,
        )  # fmt: skip
        parts.tasks = tasks(resources)
        parts.last = [("relay", relay.run)]
    return parts


def tasks(resources: Resources) -> list[tuple[str, Task]]:
    """Give the consumer and the background loops, each safe to run in several replicas."""
    settings, db, create, checks = resources.settings, resources.db, resources.create, resources.checks
    consumed = handlers(
        RegisterPayment(db, settings, resources.wake_invoices), CloseRejectedOrder(db, resources.wake_closings)
    )
    consumer = ConsumerRunner(settings, settings.service, consumed, resources.producer)
    pending = ClaimLoop("pending requests", create.claim_new, create.make, wake=resources.wake_invoices)
    retries = ClaimLoop("failed requests", create.claim_retries, create.make)
    sweep = ClaimLoop("expiry sweep", checks.claim_past_expiry, checks.sweep)
    status = ClaimLoop("status check", checks.claim_open, checks.check)
    closings = ClaimLoop("invoice closings", checks.claim_closings, checks.close, wake=resources.wake_closings)
    deliver = DeliverAudit(db, resources.audit_log)

    async def deliver_audit(stop: asyncio.Event) -> None:
        await every(AUDIT_INTERVAL_S, deliver, stop, name="audit delivery")

    return [
        ("consumer", consumer.run),
        ("pending requests", partial(pending.run, settings.scheduler_pending_interval_s)),
        ("failed requests", partial(retries.run, settings.scheduler_retry_interval_s)),
        ("expiry sweep", partial(sweep.run, settings.scheduler_expiry_interval_s)),
        ("status check", partial(status.run, settings.scheduler_status_interval_s)),
        ("invoice closings", partial(closings.run, CLOSING_INTERVAL_S)),
        ("audit delivery", deliver_audit),
        ("housekeeping", partial(housekeeping.run, db)),
    ]


SERVICE = Service(
    "paymentfc",
    Settings,
    build,
    topics=(events.ORDER_CREATED, events.STOCK_REJECTED, events.PAYMENT_SUCCESS, events.PAYMENT_FAILED),
)
