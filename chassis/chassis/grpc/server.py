"""The gRPC server and its channel: bounded connections and calls, TLS, trace context."""

from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from pydantic import SecretStr

from chassis import telemetry
from chassis.config.declare import plain
from chassis.config.settings import ProcessSettings
from chassis.grpc.calls import CallInterceptor

# A message of one of our methods is a token or an id.
MAX_MESSAGE_BYTES = 256 * 1024
# Calls at a time, and for each connection; connections; the life of one, after which its client opens another.
MAX_CALLS, MAX_CALLS_OF_CONNECTION, MAX_CONNECTIONS = 256, 100, 256
MAX_CONNECTION_AGE_MS = 600_000
SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", MAX_CALLS_OF_CONNECTION),
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
    ("grpc.max_connection_idle_ms", 300_000),
    ("grpc.max_connection_age_ms", MAX_CONNECTION_AGE_MS),
    ("grpc.max_connection_age_grace_ms", 10_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),
]

Register = Callable[[grpc.aio.Server], None]


async def server(
    settings: ProcessSettings, services: Mapping[str, Register], *, port: int | None = None
) -> grpc.aio.Server:
    """Make a server, not yet started, on `settings.grpc_port` (or `port`), with health.

    It has reflection where EXPOSE_DOCS is set.

    `services` maps a full service name such as `user.UserService` to a function that adds its servicer to the server.
    Raises RuntimeError when the port is taken.
    """
    result = grpc.aio.server(
        interceptors=[CallInterceptor(settings.grpc_credentials)],
        options=SERVER_OPTIONS,
        maximum_concurrent_rpcs=MAX_CALLS,
    )
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, result)
    for name, register in services.items():
        register(result)
        await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    if settings.expose_docs:
        from grpc_reflection.v1alpha import reflection

        reflection.enable_server_reflection([*services, health.SERVICE_NAME, reflection.SERVICE_NAME], result)
    address = f"{settings.http_host}:{port or settings.grpc_port}"
    credentials = _server_credentials(settings)
    if not (result.add_secure_port(address, credentials) if credentials else result.add_insecure_port(address)):
        raise RuntimeError(f"gRPC can't listen on {address}")
    return result


def channel(address: str, credentials: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    """Open a channel, which connects and reconnects by itself, with TLS if there are credentials for it.

    Needs a running event loop.
    """
    if credentials is not None:
        return grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS)
    return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)


def _server_credentials(settings: ProcessSettings) -> grpc.ServerCredentials | None:
    files = _tls_files(settings)
    if files is None:
        return None
    ca, key, cert = files
    return grpc.ssl_server_credentials([(key, cert)], root_certificates=ca, require_client_auth=True)


def channel_credentials(settings: ProcessSettings) -> grpc.ChannelCredentials | None:
    """Return the credentials of a client for TLS in both directions, None when the settings name no certificate."""
    files = _tls_files(settings)
    return None if files is None else grpc.ssl_channel_credentials(*files)


def _tls_files(settings: ProcessSettings) -> tuple[bytes, bytes, bytes] | None:
    """Return the contents of the CA's certificate, the own key and the own certificate."""
    ca, key, cert = settings.grpc_tls_ca, settings.grpc_tls_key, settings.grpc_tls_cert
    if not (ca and key and cert):
        return None
    return Path(ca).read_bytes(), Path(key).read_bytes(), Path(cert).read_bytes()


def metadata(credentials: str | SecretStr) -> tuple[tuple[str, str], ...]:
    """Make the metadata of one call: the internal credential and the current trace context."""
    return tuple(telemetry.inject({"authorization": f"Bearer {plain(credentials)}"}).items())
