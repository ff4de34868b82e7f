"""The gRPC methods that the other services call. The chassis checks the credential and translates refusals."""

from typing import Any, TypeAlias

import grpc.aio

from chassis.auth.tokens import TokenVerifier
from chassis.db.database import Database
from chassis.errors import Invalid, Unauthenticated
from chassis.pb import user_pb2, user_pb2_grpc
from userfc.errors import UserNotFound
from userfc.repository import users
from userfc.service.revocations import check_token

NAME = user_pb2.DESCRIPTOR.services_by_name["UserService"].full_name
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class UserServicer(user_pb2_grpc.UserServiceServicer):
    """`user.UserService` of protos/user.proto."""

    def __init__(self, db: Database, verifier: TokenVerifier) -> None:
        self._db = db
        self._verifier = verifier

    async def GetUserInfoByUserId(
        self, request: user_pb2.GetUserInfoRequest, _context: Context
    ) -> user_pb2.GetUserInfoResult:
        """Return a user. NOT_FOUND for an unknown id, INVALID_ARGUMENT for one below 1."""
        if request.user_id < 1:
            raise Invalid("user_id: should be a positive whole number")
        user = await users.by_id(self._db, request.user_id)
        if user is None:
            raise UserNotFound(request.user_id)
        return user_pb2.GetUserInfoResult(id=user.id, email=user.email, name=user.name, role=user.role)

    async def ValidateToken(
        self, request: user_pb2.ValidateTokenRequest, _context: Context
    ) -> user_pb2.ValidateTokenResponse:
        """Return whether a token is valid, and its user. UNAVAILABLE when the database does not answer."""
        try:
            principal = await check_token(self._db, self._verifier, request.token)
        except Unauthenticated as refusal:
            return user_pb2.ValidateTokenResponse(valid=False, error=refusal.message)
        return user_pb2.ValidateTokenResponse(valid=True, user_id=principal.user_id, email=principal.email)
