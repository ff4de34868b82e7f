"""Puts the console together: the services that it asks, Kafka, and its pages. It has no database."""

import httpx2

from chassis.grpc.users import UserClient
from chassis.kafka.connection import connection
from chassis.resources import Connections, Parts
from chassis.service import Service
from console.client.audit_log import AuditLog
from console.client.backlog import Backlog
from console.client.event_log import EventLog
from console.client.kafka import KafkaReader
from console.client.letter_box import LetterBox
from console.client.letter_store import Bounds
from console.client.log import Log
from console.client.metrics import Watch
from console.client.shared_log import SharedLog
from console.client.tail import Tail
from console.config import Settings
from console.handler import (
    audits,
    dead_letters,
    events,
    files,
    lab,
    letter_actions,
    login,
    logs,
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
from console.handler.watches import Watches
from console.sources import sources
from console.usecase.letter_runs import LetterRuns
from console.usecase.overview import Waits


async def build(settings: Settings) -> Parts:
    """Open the connections and describe the parts; nothing is connected to yet."""
    connections = Connections(settings)
    users = connections.add("userfc", UserClient.of(settings))
    kafka = {**connection(settings), "client_id": "console"}
    log, http = EventLog(**kafka), httpx2.AsyncClient()
    letters = LetterBox(Log("console-letters", **connection(settings)), Bounds())
    runs = LetterRuns(letters)
    reader = KafkaReader(**kafka)
    connections.close += [letters.close, log.close, reader.close, http.aclose]
    live = Watches()
    tail = Tail(live.orders, live.news, **kafka | {"client_id": "console-tail"})
    watch = Watch(http, settings.management_urls(), lambda: live.wake("/"))
    backlog = Backlog(reader)
    shared = {"log": SharedLog(log), "audits": AuditLog(**kafka), "backlog": backlog, "waits": Waits(backlog, letters)}
    state = {"urls": settings.urls(), "http": http, **shared}
    return Parts(
        connections,
        connections.verifier(users),
        state={
            **state,
            **sources(settings, connections, http),
            "letters": letters,
            "runs": runs,
            "watch": watch,
            "live": live,
            "error_response": refusal,
        },
        api_loops=[letters, live, runs, tail, watch],
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
        logs.router,
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
