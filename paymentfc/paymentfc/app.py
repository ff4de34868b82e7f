"""The parts of paymentfc: its neighbours, its handlers and its loops."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from chassis.db.database import Database
from chassis.db.outbox_queue import OutboxRow, Session
from chassis.grpc.users import UserClient
from chassis.kafka.relay import Hook
from chassis.loops import Loop, Task
from chassis.resources import Parts, Resources
from chassis.service import Service
from paymentfc import events
from paymentfc.claim_loop import UNASKED_S, ClaimLoop, traced
from paymentfc.client.payers import Payers
from paymentfc.client.refunds import RefundGateway
from paymentfc.client.xendit import Xendit
from paymentfc.config import Settings
from paymentfc.due_work import DueWork
from paymentfc.handler import admin, dossier, http, kafka, refund_webhook, refunds
from paymentfc.pdf.drawings import Drawings
from paymentfc.pdf.process import DrawingProcess
from paymentfc.repository import failed_events, published, retention
from paymentfc.repository.audit import AuditLog
from paymentfc.repository.requests import Claim
from paymentfc.usecase.check_invoices import CheckInvoices
from paymentfc.usecase.confirm_callbacks import ConfirmCallbacks
from paymentfc.usecase.count_anomalies import count_anomalies
from paymentfc.usecase.count_refunds import count_refunds
from paymentfc.usecase.create_invoice import CreateInvoice
from paymentfc.usecase.deliver_audit import deliver_audit
from paymentfc.usecase.note_retry import note_retry
from paymentfc.usecase.receive_callback import ReceiveCallback
from paymentfc.usecase.request_invoice import RequestInvoice
from paymentfc.usecase.send_refunds import SendRefunds
from paymentfc.usecase.take_over_anomalies import take_over_anomalies
from paymentfc.warm_up import WarmUp

# More than in other loops: in a burst, invoices that are made together share the statements that claim and store them.
NEW_INVOICES = 16
COUNTED_S = 30.0


async def build(settings: Settings) -> Parts:
    """Open the resources and describe the parts; nothing is connected to yet."""
    resources = Resources(settings)
    db, users = resources.db, resources.add("userfc", UserClient.of(settings))
    audit_log = resources.add("mongodb", AuditLog(settings.mongo_uri.get_secret_value()))
    # Not in /ready: payments are registered and read while Xendit is away.
    xendit = _gateway(settings)
    drawings, due = _drawings(settings), DueWork(db, settings)
    resources.close += [xendit.close, drawings.close]
    create = CreateInvoice(db, xendit, Payers(users), settings, due.closings.wake)
    checks = CheckInvoices(db, xendit, settings)
    confirmations = ConfirmCallbacks(db, xendit, due.confirmations.wake)
    return Parts(
        resources,
        resources.verifier(users),
        state={
            "db": db,
            "users": users,
            "audit_log": audit_log,
            "drawings": drawings,
            "request_invoice": RequestInvoice(db, create, checks),
            "receive_callback": ReceiveCallback(db, confirm=settings.xendit_confirm_payments),
            "confirmations": confirmations,
            "wake_closings": due.closings.wake,
            "wake_refunds": due.refunds.wake,
            "webhook_token": settings.xendit_webhook_token.get_secret_value(),
        },
        handlers=kafka.handlers(db, settings, due.requests.wake, due.closings.wake),
        loops=[
            *invoice_loops(due, create, checks, users.connect),
            *refund_loops(due, db, SendRefunds(db, RefundGateway(xendit), settings)),
            audit_loop(due, partial(deliver_audit, db, audit_log)),
        ],
        # Woken by the webhook, so it runs where HTTP is served. Also when confirmation is off: some may wait for it.
        api_loops=[due, confirmation_loop(due, confirmations), WarmUp(xendit.opened)],
        purges=retention.purges(settings),
        on_published=_publish_hook(due),
        on_parked=failed_events.add_parked,
        on_retry=note_retry,
    )


def _gateway(settings: Settings) -> Xendit:
    key = settings.xendit_secret_api_key.get_secret_value()
    return Xendit(settings.xendit_base_url, key, allow_http=settings.environment != "production")


def _publish_hook(due: DueWork) -> Hook:
    async def note(session: Session, rows: Sequence[OutboxRow]) -> None:
        await published.note_published(session, rows)
        due.noted()

    return note


def confirmation_loop(due: DueWork, confirmations: ConfirmCallbacks) -> Task:
    claim, work = confirmations.claim, confirmations.confirm
    return ClaimLoop("confirmations", claim, work, due.confirmations.wake, note=due.noted)


def refund_loops(due: DueWork, db: Database, sending: SendRefunds) -> list[Task]:
    """Return the loops over refunds and the anomalies from which they come.

    The last one writes the refunds that the version before has left out.
    """
    return [
        Loop("count anomalies", COUNTED_S, partial(count_anomalies, db)),
        Loop("count refunds", COUNTED_S, partial(count_refunds, db)),
        ClaimLoop("refunds", sending.claim, sending.send, due.refunds.wake, note=due.noted),
        Loop("anomalies without refund", UNASKED_S, partial(take_over_anomalies, db)),
    ]


def audit_loop(due: DueWork, deliver: Callable[[], Awaitable[object]]) -> Task:
    # Woken by what the database holds, which says nothing of MongoDB.
    return Loop("audit delivery", UNASKED_S, deliver, due.audit.wake, wakes_in_outage=False)


def _drawings(settings: Settings) -> Drawings:
    timeout_s = settings.pdf_timeout_s
    return Drawings(DrawingProcess(timeout_s), settings.pdf_max_queue, timeout_s, settings.pdf_cache_bytes)


def invoice_loops(
    due: DueWork, create: CreateInvoice, checks: CheckInvoices, connect: Callable[[], None] = lambda: None
) -> list[Task]:
    """Return the loops that work on invoices, each safe to run in several replicas.

    `connect` is called when the payer's e-mail address is about to be asked for.
    """
    note = due.noted
    sweep, check = traced("sweep payment", checks.sweep), traced("check invoice", checks.check)
    close = traced("close invoice", checks.close)

    async def claim_new(limit: int) -> list[Claim]:
        connect()
        return await create.claim_new(limit)

    return [
        ClaimLoop("pending requests", claim_new, create.make, due.requests.wake, NEW_INVOICES, note),
        ClaimLoop("failed requests", create.claim_retries, create.make, due.retries.wake, note=note),
        ClaimLoop("expiry sweep", checks.claim_past_expiry, sweep, due.expiry.wake, note=note),
        ClaimLoop("status check", checks.claim_open, check, due.status.wake, note=note),
        ClaimLoop("invoice closings", checks.claim_closings, close, due.closings.wake, note=note),
    ]


SERVICE = Service(
    "paymentfc",
    Settings,
    build,
    routers=[admin.router, refunds.router, refund_webhook.router, http.router, dossier.router],
    description="Invoices at Xendit, its callbacks, and what they do to an order's payment.",
    topics=(*events.PUBLISHED, *events.CONSUMED),
)
