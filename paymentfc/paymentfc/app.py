"""What paymentfc is made of: its neighbours, its handlers and its loops."""

import asyncio
from functools import partial

from chassis.grpc.users import UserClient
from chassis.loops import Loop, Task
from chassis.resources import Parts, Resources
from chassis.service import Service
from paymentfc import events
from paymentfc.claim_loop import ClaimLoop
from paymentfc.client.payers import Payers
from paymentfc.client.xendit import Xendit
from paymentfc.config import Settings
from paymentfc.handler import admin, http, kafka
from paymentfc.pdf.drawings import Drawings
from paymentfc.pdf.process import DrawingProcess
from paymentfc.repository import failed_events, published, retention
from paymentfc.repository.audit import AuditLog
from paymentfc.usecase.check_invoices import CheckInvoices
from paymentfc.usecase.confirm_callbacks import ConfirmCallbacks
from paymentfc.usecase.create_invoice import CreateInvoice
from paymentfc.usecase.deliver_audit import deliver_audit
from paymentfc.usecase.request_invoice import RequestInvoice

AUDIT_INTERVAL_S = 1.0
CLOSING_INTERVAL_S = 2.0
CONFIRMATION_INTERVAL_S = 1.0


async def build(settings: Settings) -> Parts:
    """Open the resources and describe the parts; nothing is connected to yet."""
    resources = Resources(settings)
    db = resources.db
    users = resources.add("userfc", UserClient.of(settings))
    audit_log = resources.add("mongodb", AuditLog(settings.mongo_uri.get_secret_value()))
    # Not in /ready: payments are registered and read while Xendit is away.
    xendit = _gateway(settings)
    drawings = _drawings(settings)
    resources.close += [xendit.close, drawings.close]
    wake_invoices, wake_closings = asyncio.Event(), asyncio.Event()
    create = CreateInvoice(db, xendit, Payers(users), settings, wake_closings)
    checks = CheckInvoices(db, xendit, settings)
    confirmations = ConfirmCallbacks(db, xendit, settings.xendit_confirm_payments)
    return Parts(
        resources,
        resources.verifier(users),
        state={
            "db": db,
            "users": users,
            "audit_log": audit_log,
            "drawings": drawings,
            "request_invoice": RequestInvoice(db, create, checks),
            "confirmations": confirmations,
            "wake_closings": wake_closings,
            "webhook_token": settings.xendit_webhook_token.get_secret_value(),
        },
        handlers=kafka.handlers(db, settings, wake_invoices, wake_closings),
        loops=[
            *invoice_loops(settings, create, checks, wake_invoices, wake_closings),
            Loop("audit delivery", AUDIT_INTERVAL_S, partial(deliver_audit, db, audit_log)),
        ],
        # Woken by the webhook, so it runs where HTTP is served. Also when confirmation is off: some may wait for it.
        api_loops=[confirmation_loop(confirmations)],
        purges=retention.purges(settings),
        on_published=published.note_published,
        on_parked=failed_events.add_parked,
    )


def _gateway(settings: Settings) -> Xendit:
    key = settings.xendit_secret_api_key.get_secret_value()
    return Xendit(settings.xendit_base_url, key, allow_http=settings.environment != "production")


def confirmation_loop(confirmations: ConfirmCallbacks) -> Task:
    work = confirmations.confirm
    return ClaimLoop("confirmations", CONFIRMATION_INTERVAL_S, confirmations.claim, work, confirmations.wake)


def _drawings(settings: Settings) -> Drawings:
    timeout_s = settings.pdf_timeout_s
    return Drawings(DrawingProcess(timeout_s), settings.pdf_max_queue, timeout_s, settings.pdf_cache_bytes)


def invoice_loops(
    settings: Settings,
    create: CreateInvoice,
    checks: CheckInvoices,
    wake_invoices: asyncio.Event,
    wake_closings: asyncio.Event,
) -> list[Task]:
    """Return the loops that work on invoices, each safe to run in several replicas."""
    new_s, retry_s = settings.scheduler_pending_interval_s, settings.scheduler_retry_interval_s
    expiry_s, status_s = settings.scheduler_expiry_interval_s, settings.scheduler_status_interval_s
    return [
        ClaimLoop("pending requests", new_s, create.claim_new, create.make, wake_invoices),
        ClaimLoop("failed requests", retry_s, create.claim_retries, create.make),
        ClaimLoop("expiry sweep", expiry_s, checks.claim_past_expiry, checks.sweep),
        ClaimLoop("status check", status_s, checks.claim_open, checks.check),
        ClaimLoop("invoice closings", CLOSING_INTERVAL_S, checks.claim_closings, checks.close, wake_closings),
    ]


SERVICE = Service(
    "paymentfc",
    Settings,
    build,
    routers=[admin.router, http.router],
    description="Invoices at Xendit, its callbacks, and what they do to an order's payment.",
    topics=(*events.PUBLISHED, *events.CONSUMED),
)
