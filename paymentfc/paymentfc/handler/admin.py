"""The routes of paymentfc for administrators: failed payments, anomalies, parked events and the audit log."""

from typing import Annotated

from fastapi import APIRouter, Query

from chassis.auth.tokens import AdminUser
from chassis.http.app import errors
from chassis.http.dependencies import Db, state
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
from paymentfc.repository.audit import AuditLog
from paymentfc.usecase.resolve_anomaly import resolve_anomaly
from paymentfc.usecase.retry_event import retry_event

router = APIRouter(prefix="/v1/payments", tags=["administration"])


Log = Annotated[AuditLog, state("audit_log")]


@router.get("/failed", responses=errors(403), summary="List failed payments")
async def failed(_: AdminUser, db: Db, query: Annotated[PageQuery, Query()]) -> FailedPayments:
    """List payments that were closed unpaid (FAILED and EXPIRED), newest first."""
    return FailedPayments.of(await payments.failed_page(db, query.page, query.page_size))


@router.get("/anomalies", responses=errors(403), summary="List anomalies")
async def list_anomalies(_: AdminUser, db: Db, query: Annotated[AnomalyQuery, Query()]) -> AnomalyList:
    """List callbacks and invoices of Xendit that contradict our records, newest first."""
    return AnomalyList.model_validate(await anomalies.page(db, query.page, query.page_size, resolved=query.resolved))


@router.post("/anomalies/{anomaly_id}/resolve", responses=errors(403, 404, 503), summary="Resolve an anomaly")
async def resolve(anomaly_id: PathId, body: Resolution, user: AdminUser, db: Db) -> AnomalyView:
    """Note what was done about an anomaly; the first note stays."""
    return AnomalyView.model_validate(await resolve_anomaly(db, user.user_id, anomaly_id, body.note))


@router.get("/failed-events", responses=errors(403), summary="List parked events")
async def list_failed_events(_: AdminUser, db: Db, query: Annotated[PageQuery, Query()]) -> FailedEventList:
    """List events that could not be published in the configured tries, newest first."""
    return FailedEventList.model_validate(await failed_events.page(db, query.page, query.page_size))


@router.post("/failed-events/{row_id}/retry", responses=errors(403, 404, 503), summary="Send a parked event now")
async def retry(row_id: PathId, user: AdminUser, db: Db) -> FailedEventView:
    """Send a parked event now."""
    return FailedEventView.model_validate(await retry_event(db, user.user_id, row_id))


@router.get("/audit-logs", responses=errors(403, 503), summary="Read the audit log")
async def audit_logs(_: AdminUser, log: Log, query: Annotated[AuditQuery, Query()]) -> AuditList:
    """List the recorded steps of payments, newest first; 503 while MongoDB is down."""
    page = await log.page(query.page, query.page_size, order_id=query.order_id, event=query.event)
    return AuditList.model_validate(page)
