"""The parts of userfc: the state of its routes, its gRPC server and its loops."""

from functools import partial

from chassis.auth.tokens import TokenVerifier
from chassis.grpc import server as grpc
from chassis.loops import Loop
from chassis.pb.user_pb2_grpc import add_UserServiceServicer_to_server
from chassis.resources import Parts, Resources
from chassis.service import Service
from userfc.config import Settings
from userfc.handler import admin, http
from userfc.handler.grpc import NAME, UserServicer
from userfc.repository.limits import Limits
from userfc.repository.revoked_copy import RevokedCopy
from userfc.service.passwords import Passwords
from userfc.service.revocations import DatabaseAuthority
from userfc.start import Start
from userfc.usecase.purge_revocations import purge_revocations
from userfc.usecase.refill_revocations import refill_revocations

REFILL_INTERVAL_S = 1
PURGE_INTERVAL_S = 600


async def build(settings: Settings) -> Parts:
    """Open the resources and describe the parts. The loops wait for a database that is down."""
    resources = Resources(settings)
    db, copy, passwords = resources.db, RevokedCopy(resources.redis), Passwords()
    resources.close.append(passwords.close)
    start = Start(settings, db, passwords)
    resources.ready.migrations = start.ready
    verifier = resources.verifier(DatabaseAuthority(db, TokenVerifier(settings.jwt_secret)), cache_s=0)
    servicer = UserServicer(db, verifier)
    grpc_services = {NAME: partial(add_UserServiceServicer_to_server, servicer)}
    await start.attempt()
    refill = partial(refill_revocations, db, copy)
    purge = partial(purge_revocations, db)
    return Parts(
        resources,
        verifier,
        state={
            "db": db,
            "copy": copy,
            "passwords": passwords,
            "limits": Limits(resources.redis, settings),
            "jwt_secret": settings.jwt_secret,
        },
        grpc=partial(grpc.server, settings, grpc_services),
        # `api` handles log-outs too, so it also repairs their copy in Redis.
        api_loops=[
            Loop("revocations_refill", REFILL_INTERVAL_S, start.before(refill), copy.wake),
            Loop("revocations_purge", PURGE_INTERVAL_S, start.before(purge)),
        ],
    )


SERVICE = Service(
    "userfc",
    Settings,
    build,
    routers=[http.router, admin.router],
    description="Registration, login, log-out and user data.",
)
