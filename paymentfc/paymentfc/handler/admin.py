"""The routes of paymentfc for administrators: failed payments, anomalies, parked events and the audit log."""

import asyncio
from typing import Annotated

from fastapi import Query, Request

from chassis.auth.tokens import AdminUser, Principal
from chassis.http.address import client_address
from chassis.http.app import errors
from chassis.http.dependencies import Db, state
from chassis.http.routing import Router
from chassis.ids import PathId
from paymentfc.handler.admin_schemas import (
    AnomalyList,
    AnomalyQuery,
    AnomalyView,
    AuditList,
    AuditQuery,
    FailedEventList,
    FailedEventView,
    FailedPayments,
    PageQuery,
    Resolution,
)
from paymentfc.repository import anomalies, failed_events, payments
from paymentfc.repository.audit import Admin, AuditLog
from paymentfc.usecase.resolve_anomaly import resolve_anomaly
from paymentfc.usecase.retry_event import retry_event

router = Router(prefix="/v1/payments", tags=["administration"])


Log = Annotated[AuditLog, state("audit_log")]
WakeClosings = Annotated[asyncio.Event, state("wake_closings")]


def acting(user: Principal, request: Request) -> Admin:
    """Return who acts, and from where."""
    return Admin(user.user_id, client_address(request, request.app.state.settings.trusted_proxies))


@router.get("/failed", responses=errors(403), summary="List failed payments")
async def failed(_: AdminUser, db: Db, query: Annotated[PageQuery, Query()]) -> FailedPayments:
    """List payments that were closed unpaid (FAILED and EXPIRED), newest first."""
    return FailedPayments.of(await payments.failed_page(db, query.page, query.page_size))


@router.get("/anomalies", responses=errors(403), summary="List anomalies")
async def list_anomalies(_: AdminUser, db: Db, query: Annotated[AnomalyQuery, Query()]) -> AnomalyList:
    """List callbacks and invoices of Xendit that contradict our records, newest first."""
    return AnomalyList.model_validate(await anomalies.page(db, query.page, query.page_size, resolved=query.resolved))


@router.post("/anomalies/{anomaly_id}/resolve", responses=errors(403, 404, 409, 503), summary="Resolve an anomaly")
async def resolve(
    request: Request, anomaly_id: PathId, body: Resolution, user: AdminUser, db: Db, wake_closings: WakeClosings
) -> AnomalyView:
    """Note what was done about an anomaly; the first note stays.

    `"action": "close"` ends an order that was paid a wrong amount: its payment fails, and the money is to be refunded.
    It also ends one whose invoice has an unknown status at Xendit: its payment expires.
    """
    close = body.action == "close"
    admin = acting(user, request)
    row = await resolve_anomaly(db, wake_closings, admin, anomaly_id, body.note, close=close)
    return AnomalyView.model_validate(row)


@router.get("/failed-events", responses=errors(403), summary="List parked events")
async def list_failed_events(_: AdminUser, db: Db, query: Annotated[PageQuery, Query()]) -> FailedEventList:
    """List events that could not be published in the configured tries, newest first."""
    return FailedEventList.model_validate(await failed_events.page(db, query.page, query.page_size))


@router.post("/failed-events/{row_id}/retry", responses=errors(403, 404, 503), summary="Send a parked event now")
async def retry(request: Request, row_id: PathId, user: AdminUser, db: Db) -> FailedEventView:
    """Send a parked event now."""
    return FailedEventView.model_validate(await retry_event(db, acting(user, request), row_id))


@router.get("/audit-logs", responses=errors(403, 503), summary="Read the audit log")
async def audit_logs(_: AdminUser, log: Log, query: Annotated[AuditQuery, Query()]) -> AuditList:
    """List the recorded steps of payments, newest first; 503 while MongoDB is down."""
    page = await log.page(query.page, query.page_size, order_id=query.order_id, event=query.event)
    return AuditList.model_validate(page)
