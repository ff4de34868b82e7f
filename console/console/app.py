"""What the console is made of: the services that it asks, Kafka, and its pages. It has no database."""

import httpx2

from chassis.grpc.users import UserClient
from chassis.kafka.connection import connection
from chassis.resources import Connections, Parts
from chassis.service import Service
from console.client.audit_log import AuditLog
from console.client.event_log import EventLog
from console.client.metrics import Watch
from console.client.tail import Tail
from console.config import Settings
from console.handler import audits, files, login, metrics_explorer, order, overview, services
from console.handler.refusals import refusal
from console.handler.watches import Watches


async def build(settings: Settings) -> Parts:
    """Open the connections and describe the parts; nothing is connected to yet."""
    connections = Connections(settings)
    users = connections.add("userfc", UserClient.of(settings))
    kafka = {**connection(settings), "client_id": "console"}
    log, http = EventLog(**kafka), httpx2.AsyncClient()
    connections.close += [log.close, http.aclose]
    live = Watches()
    tail = Tail(live.orders, live.news, **kafka | {"client_id": "console-tail"})
    watch = Watch(http, settings.management_urls(), lambda: live.wake("/"))
    state = {"urls": settings.urls(), "http": http, "log": log, "audits": AuditLog(**kafka)}
    return Parts(
        connections,
        connections.verifier(users),
        state={**state, "watch": watch, "live": live, "error_response": refusal},
        api_loops=[live, tail, watch],
    )


SERVICE = Service(
    "console",
    Settings,
    build,
    routers=[
        audits.router,
        files.router,
        login.router,
        metrics_explorer.router,
        order.router,
        overview.router,
        services.router,
    ],
    description="Pages for operators.",
)
