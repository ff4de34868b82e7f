"""What the console is made of: the services that it asks, Kafka, and its pages. It has no database."""

import httpx2

from chassis.grpc.users import UserClient
from chassis.kafka.connection import connection
from chassis.resources import Connections, Parts
from chassis.service import Service
from console.client.event_log import EventLog
from console.client.tail import Tail
from console.config import Settings
from console.handler import files, login, order
from console.handler.refusals import refusal
from console.handler.watches import Watches


async def build(settings: Settings) -> Parts:
    """Open the connections and describe the parts; nothing is connected to yet."""
    connections = Connections(settings)
    users = connections.add("userfc", UserClient.of(settings))
    log, http = EventLog(**connection(settings), client_id="console"), httpx2.AsyncClient()
    connections.close += [log.close, http.aclose]
    live = Watches()
    tail = Tail(live.orders, live.news, **connection(settings), client_id="console-tail")
    return Parts(
        connections,
        connections.verifier(users),
        state={"urls": settings.urls(), "http": http, "log": log, "live": live, "error_response": refusal},
        api_loops=[live, tail],
    )


SERVICE = Service(
    "console",
    Settings,
    build,
    routers=[files.router, login.router, order.router],
    description="Pages for operators.",
)
