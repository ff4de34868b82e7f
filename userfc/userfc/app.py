"""The composition root of userfc: settings become resources, resources the HTTP app, gRPC and the background work."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from chassis.auth.tokens import TokenVerifier
from chassis.db import migrations
from chassis.db.database import Database
from chassis.errors import RateLimited, Unavailable, is_transient
from chassis.grpc import server as grpc
from chassis.http.probes import Readiness
from chassis.loops import every
from chassis.pb.user_pb2_grpc import add_UserServiceServicer_to_server
from chassis.redis import RedisClient
from chassis.service import Parts, Service, Task
from userfc.config import Settings
from userfc.handler import http
from userfc.handler.api import application
from userfc.handler.grpc import NAME, UserServicer
from userfc.repository.limits import Limit
from userfc.repository.revoked_copy import RevokedCopy
from userfc.service.passwords import Passwords
from userfc.service.revocations import OwnRevocations
from userfc.usecase.ensure_admin import ensure_admin
from userfc.usecase.keep_revocations import KeepRevocations
from userfc.usecase.login import Login

log = structlog.get_logger(__name__)

REFILL_INTERVAL_S = 1
REPEAT_INTERVAL_S = 60
PURGE_INTERVAL_S = 600


class Start:
    """What must be true before userfc is ready: the database is migrated and the administrator exists."""

    def __init__(self, settings: Settings, db: Database, passwords: Passwords) -> None:
        self._settings = settings
        self._db = db
        self._passwords = passwords
        self._lock = asyncio.Lock()
        self._done = False

    async def ready(self) -> None:
        """Check the migrations, and see to the administrator the first time. Raises what /ready reports."""
        await migrations.check_current(self._db, self._settings.service)
        async with self._lock:
            if not self._done:
                await self._ensure_admin()
                self._done = True

    async def waited(self) -> None:
        """Do the same once, as background work: raises Unavailable while it can't be done yet."""
        if self._done:
            return
        try:
            await self.ready()
        except (RuntimeError, RateLimited) as error:
            raise Unavailable(str(error)) from error

    async def _ensure_admin(self) -> None:
        email, password = self._settings.admin_email, self._settings.admin_password
        if email is not None and password is not None:
            await ensure_admin(self._db, self._passwords, email, password.get_secret_value())
        elif email is not None or password is not None:
            log.warning("no administrator is made: ADMIN_EMAIL and ADMIN_PASSWORD belong together")


def tasks(start: Start, keep: KeepRevocations) -> list[tuple[str, Task]]:
    """Give the background work, safe with replicas; none of it runs before the database is migrated."""

    def after_start(work: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
        async def run() -> object:
            await start.waited()
            return await work()

        return run

    def loop(name: str, interval_s: float, work: Callable[[], Awaitable[object]], wake: asyncio.Event | None) -> Task:
        return lambda stop: every(interval_s, after_start(work), stop, name=name, wake=wake)

    return [
        ("revocations", loop("revocations_refill", REFILL_INTERVAL_S, keep.refill, keep.copy.wake)),
        (
            "late revocations",
            loop("revocations_repeat", REPEAT_INTERVAL_S, partial(keep.repeat, 3 * REPEAT_INTERVAL_S), None),
        ),
        ("purge", loop("revocations_purge", PURGE_INTERVAL_S, keep.purge, None)),
    ]


async def build(settings: Settings, workers: bool) -> Parts:
    """Open the resources and put the parts together; a database that is away is waited for by the parts."""
    db = Database(settings)
    redis = RedisClient(settings)
    passwords = Passwords()
    copy = RevokedCopy(redis)
    start = Start(settings, db, passwords)
    verifier = TokenVerifier(settings.jwt_secret, OwnRevocations(redis, db))

    ready = Readiness(start.ready)
    ready.add("database", db.ping, critical=True)
    ready.add("redis", redis.ping)

    app = application(settings, ready)
    app.state.verifier = verifier
    app.state.resources = http.Resources(
        settings=settings,
        db=db,
        passwords=passwords,
        login=Login(
            db, passwords, Limit(redis, "login_account", settings.login_limit_per_account), settings.jwt_secret
        ),
        copy=copy,
        login_tries=Limit(redis, "login_address", settings.login_limit_per_address),
        registrations=Limit(redis, "register_address", settings.register_limit_per_address),
    )
    servicer = UserServicer(db, verifier)
    grpc_server = await grpc.server(settings, {NAME: partial(add_UserServiceServicer_to_server, servicer)})
    await _try_to_start(start)

    async def close_passwords() -> None:
        passwords.close()

    parts = Parts(app=app, grpc=grpc_server, close=[db.close, redis.close, close_passwords])
    # Log-outs happen in `api` as well, so what repairs their copy in Redis runs wherever userfc runs.
    parts.tasks = tasks(start, KeepRevocations(db, copy))
    return parts


async def _try_to_start(start: Start) -> None:
    """See to the administrator before the first request, when the database is there already."""
    try:
        await start.waited()
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("waiting for the database", error=f"{type(error).__name__}: {error}")


SERVICE = Service("userfc", Settings, build)
