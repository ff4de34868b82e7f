"""The composition root of paymentfc: settings become resources, resources the HTTP app, consumer, relay and loops."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from chassis.db.outbox import OutboxRow
from chassis.grpc.users import UserClient
from chassis.loops import Loop, Task
from chassis.resources import Parts, Resources
from chassis.service import Service
from paymentfc import events
from paymentfc.claim_loop import ClaimLoop
from paymentfc.client.xendit import Xendit
from paymentfc.config import Settings
from paymentfc.handler import admin, http
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


async def note_published(connection: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
    """Relay hook: tell the audit log, and the list of failed events, what has gone out."""
    await audit.add_published(connection, rows)
    await failed_events.note_published(connection, rows)


@dataclass
class Gateway:
    """What paymentfc opens beside the resources of every service."""

    resources: Resources
    settings: Settings
    wake_invoices: asyncio.Event = field(default_factory=asyncio.Event)
    wake_closings: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        add, settings, db = self.resources.add, self.settings, self.resources.db
        self.db = db
        self.users = add("userfc", UserClient(settings.user_service_addr, settings.grpc_credentials))
        self.audit_log = add("mongodb", AuditLog(settings.mongo_uri.get_secret_value()))
        self.xendit = Xendit(settings.xendit_base_url, settings.xendit_secret_api_key.get_secret_value())
        self.resources.close.append(self.xendit.close)
        self.create = CreateInvoice(db, self.xendit, self.users, settings, wake_closings=self.wake_closings)
        self.checks = CheckInvoices(db, self.xendit, settings)


async def build(settings: Settings) -> Parts:
    """Open the resources and describe the parts; nothing is connected to yet."""
    resources = Resources(settings)
    db = resources.db
    gateway = Gateway(resources, settings)
    return Parts(
        resources,
        resources.verifier(gateway.users),
        state={
            "db": db,
            "webhook_token": settings.xendit_webhook_token.get_secret_value(),
            "receive_callback": ReceiveCallback(db),
            "describe_invoice": DescribeInvoice(db, gateway.users),
            "audit_log": gateway.audit_log,
            "request_invoice": RequestInvoice(db, gateway.create, gateway.checks),
        },
        handlers=handlers(
            RegisterPayment(db, settings, gateway.wake_invoices), CloseRejectedOrder(db, gateway.wake_closings)
        ),
        loops=loops(gateway),
        on_published=note_published,
        on_parked=failed_events.add_parked,
    )


def loops(gateway: Gateway) -> list[Task]:
    """Return the background loops, each safe to run in several replicas."""
    settings, create, checks = gateway.settings, gateway.create, gateway.checks
    return [
        ClaimLoop(
            "pending requests",
            create.claim_new,
            create.make,
            interval_s=settings.scheduler_pending_interval_s,
            wake=gateway.wake_invoices,
        ),
        ClaimLoop("failed requests", create.claim_retries, create.make, interval_s=settings.scheduler_retry_interval_s),
        ClaimLoop(
            "expiry sweep", checks.claim_past_expiry, checks.sweep, interval_s=settings.scheduler_expiry_interval_s
        ),
        ClaimLoop("status check", checks.claim_open, checks.check, interval_s=settings.scheduler_status_interval_s),
        ClaimLoop(
            "invoice closings",
            checks.claim_closings,
            checks.close,
            interval_s=CLOSING_INTERVAL_S,
            wake=gateway.wake_closings,
        ),
        Loop("audit delivery", AUDIT_INTERVAL_S, DeliverAudit(gateway.db, gateway.audit_log)),
    ]


SERVICE = Service(
    "paymentfc",
    Settings,
    build,
    routers=[admin.router, http.router],
    description="Invoices at Xendit, its callbacks, and what they do to an order's payment.",
    topics=(events.ORDER_CREATED, events.STOCK_REJECTED, events.PAYMENT_SUCCESS, events.PAYMENT_FAILED),
)
