"""gRPC with TLS in both directions: each side shows a certificate of the same authority, or nothing is answered."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.config.settings import ServiceSettings, load
from chassis.errors import NotFound, Unavailable
from chassis.grpc import server as chassis_grpc
from chassis.grpc.users import UserClient
from testkit import free_port

if TYPE_CHECKING:
    from testkit.certificates import Certificates


def tls(certificates: "Certificates") -> dict[str, Any]:
    return {
        "grpc_tls_cert": certificates.cert,
        "grpc_tls_key": certificates.key,
        "grpc_tls_ca": certificates.ca,
    }


@pytest.fixture
async def userfc(certificates: "Certificates") -> AsyncIterator[int]:
    """Serve health and reflection with TLS and return the port."""
    port = free_port()
    server = await chassis_grpc.server(load(ServiceSettings, **tls(certificates)), {}, port=port)
    await server.start()
    yield port
    await server.stop(grace=0)


async def answers(host: str, port: int, **given: Any) -> bool:
    """Whether a service with these settings gets an answer of userfc's health service and of a call."""
    client = UserClient.of(load(ServiceSettings, user_service_addr=f"{host}:{port}", **given))
    try:
        await client.ping()
        return True
    except Unavailable:
        return False
    finally:
        await client.close()


async def test_a_service_with_a_certificate_of_the_authority_is_answered(
    userfc: int, certificates: "Certificates"
) -> None:
    assert await answers("localhost", userfc, **tls(certificates))


async def test_a_call_passes_tls_and_is_judged_by_its_credential(userfc: int, certificates: "Certificates") -> None:
    client = UserClient.of(load(ServiceSettings, user_service_addr=f"localhost:{userfc}", **tls(certificates)))
    try:
        # No service is registered: the call is known to have arrived.
        with pytest.raises((NotFound, Unavailable)) as answered:
            await client.get_user(1)
        cause = answered.value.__cause__ or answered.value.__context__
        assert isinstance(cause, grpc.aio.AioRpcError)
        assert cause.code() is grpc.StatusCode.UNIMPLEMENTED
    finally:
        await client.close()


async def test_a_client_without_a_certificate_of_the_authority_is_refused(
    userfc: int, certificates: "Certificates", tmp_path: Path
) -> None:
    from testkit.certificates import Certificates as Authority

    stranger = Authority(tmp_path / "stranger", "localhost")
    assert not await answers("localhost", userfc)
    mixed = {**tls(stranger), "grpc_tls_ca": certificates.ca}
    assert not await answers("localhost", userfc, **mixed)
    trusting = grpc.ssl_channel_credentials(Path(certificates.ca).read_bytes())
    async with chassis_grpc.channel(f"localhost:{userfc}", trusting) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_of_another_authority_or_name_is_refused_in_one_sentence(
    certificates: "Certificates", strangers_ca: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cert, key = certificates.issue(tmp_path / "elsewhere", "users.example.com")
    port = free_port()
    settings = load(ServiceSettings, **{**tls(certificates), "grpc_tls_cert": cert, "grpc_tls_key": key})
    server = await chassis_grpc.server(settings, {}, port=port)
    await server.start()
    try:
        assert not await answers("localhost", port, **tls(certificates))
        assert "userfc's certificate is refused" in capsys.readouterr().out
        assert not await answers("localhost", port, **{**tls(certificates), "grpc_tls_ca": strangers_ca})
        assert "userfc's certificate is refused" in capsys.readouterr().out
    finally:
        await server.stop(grace=0)
