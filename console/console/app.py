"""Puts the console together: the services that it asks, Kafka, and its pages. It has no database."""

import httpx2

from chassis.auth.limits import Limit
from chassis.grpc.users import UserClient
from chassis.kafka.connection import connection
from chassis.loops import Loop
from chassis.resources import Connections, Parts
from chassis.service import Service
from console.client.audit_reports import AuditReports
from console.client.backlog import Backlog
from console.client.kafka import KafkaReader
from console.client.kafka_records import KafkaRecords
from console.client.letter_box import LetterBox
from console.client.letter_store import Bounds
from console.client.metrics import Watch
from console.client.order_records import OrderRecords
from console.client.shared_records import SharedRecords
from console.client.tail import Tail
from console.config import Settings
from console.handler import (
    audits,
    dead_letters,
    events,
    files,
    lab,
    letter_actions,
    log_lines,
    login,
    metrics_explorer,
    money,
    order,
    orders,
    outbox,
    overview,
    renewal,
    runbook,
    search,
    services,
    traces,
    waiting,
)
from console.handler.refusals import refusal
from console.handler.session import LOG_INS
from console.handler.watches import Watches
from console.sources import sources
from console.usecase.gather_overview import UnfinishedCache
from console.usecase.letter_runs import LetterRuns
from console.usecase.watch_audits import EVERY_S, AuditWatch

# For the pages of all people. A service allows 600 connections of one address.
LIMITS = httpx2.Limits(max_connections=500, max_keepalive_connections=50)


async def build(settings: Settings) -> Parts:
    """Open the connections and describe the parts; nothing is connected to yet."""
    connections = Connections(settings)
    users = connections.add("userfc", UserClient.of(settings))
    kafka = {**connection(settings), "client_id": "console"}
    order_records = OrderRecords(**kafka)
    # A pool each, so that pages which wait for a service that hangs hold up neither a log-in nor the figures.
    http, log_in_http, watch_http = httpx2.AsyncClient(limits=LIMITS), httpx2.AsyncClient(), httpx2.AsyncClient()
    letters = LetterBox(KafkaRecords("console-letters", **connection(settings)), Bounds())
    runs = LetterRuns(letters)
    reader = KafkaReader(**kafka)
    connections.close += [letters.close, order_records.close, reader.close]
    connections.close += [http.aclose, log_in_http.aclose, watch_http.aclose]
    live = Watches()
    tail = Tail(live.orders, live.news, **kafka | {"client_id": "console-tail"})
    watch = Watch(watch_http, settings.management_urls(), lambda: live.wake("/"))
    backlog, audit_reports = Backlog(reader), AuditReports(**kafka)
    audit_watch = AuditWatch(audit_reports)
    shared = {"backlog": backlog, "unfinished": UnfinishedCache(backlog, letters), "audits": audit_reports}
    state = {"urls": settings.urls(), "http": http, "log_in_http": log_in_http, **shared}
    state["order_records"] = SharedRecords(order_records)
    return Parts(
        connections,
        connections.verifier(users),
        state={
            **state,
            **sources(settings, connections, http),
            "log_ins": Limit(connections.redis, "console_log_in", LOG_INS),
            "letters": letters,
            "runs": runs,
            "watch": watch,
            "live": live,
            "error_response": refusal,
        },
        api_loops=[letters, live, runs, tail, watch, Loop("audits", EVERY_S, audit_watch.look)],
    )


SERVICE = Service(
    "console",
    Settings,
    build,
    routers=[
        audits.router,
        dead_letters.router,
        events.router,
        files.router,
        lab.router,
        letter_actions.router,
        login.router,
        log_lines.router,
        metrics_explorer.router,
        money.router,
        order.router,
        orders.router,
        outbox.router,
        overview.router,
        renewal.router,
        runbook.router,
        search.router,
        services.router,
        traces.router,
        waiting.router,
    ],
    description="Pages for operators.",
)
