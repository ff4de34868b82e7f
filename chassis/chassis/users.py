"""The gRPC client of userfc: who a user is, and whether a token still holds. Two seconds per call."""

from dataclasses import dataclass

import grpc
from grpc import aio

from chassis.errors import NotFound, Unavailable
from chassis.grpc import channel, metadata
from chassis.pb import user_pb2, user_pb2_grpc

DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class User:
    """A registered user."""

    id: int
    email: str
    name: str
    role: str


class UserClient:
    """Asks userfc. The channel connects when first used and again after the peer has been away."""

    def __init__(self, address: str, credential: str) -> None:
        self._channel = channel(address)
        self._stub = user_pb2_grpc.UserServiceStub(self._channel)
        self._credential = credential

    async def get_user(self, user_id: int) -> User:
        """Look a user up. Raises NotFound for an unknown id and Unavailable when userfc does not answer in time."""
        request = user_pb2.GetUserInfoRequest(user_id=user_id)
        try:
            found = await self._stub.GetUserInfoByUserId(
                request, timeout=DEADLINE_S, metadata=metadata(self._credential)
            )
        except aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise NotFound(f"user {user_id} does not exist") from error
            raise Unavailable("userfc is not available") from error
        return User(found.id, found.email, found.name, found.role)

    async def validate_token(self, token: str) -> bool:
        """Tell whether a token still holds. Raises Unavailable when userfc does not answer in time."""
        request = user_pb2.ValidateTokenRequest(token=token)
        try:
            answer = await self._stub.ValidateToken(request, timeout=DEADLINE_S, metadata=metadata(self._credential))
        except aio.AioRpcError as error:
            raise Unavailable("userfc is not available") from error
        return bool(answer.valid)

    async def ping(self) -> None:
        """Wait until the channel is connected. Raises Unavailable when it can't be."""
        await self._channel.channel_ready()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
