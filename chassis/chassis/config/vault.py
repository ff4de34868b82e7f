"""A service's secrets in Vault's KV version 2 engine: read once at start, then watched for a newer version."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import stamina
import structlog
from prometheus_client import Gauge

from chassis.loops import Loop

if TYPE_CHECKING:
    import hvac


log = structlog.get_logger(__name__)

TIMEOUT_S = 5
OUTDATED = Gauge("vault_secrets_outdated", "1 when Vault holds newer secrets than this process was started with")


class VaultError(Exception):
    """Vault can't be read; the text says why and holds no secret."""


class VaultAway(VaultError):
    """Vault does not answer, or says that it can't now (sealed, 5xx): the same call can succeed later."""


@dataclass(frozen=True)
class Secrets:
    """What `secret/data/<service>` holds, flat with dotted keys; `version` is 0 when nothing is stored there."""

    values: dict[str, Any]
    version: int


class Session:
    """One login at Vault, by a token that was given or by AppRole; every method may raise VaultError."""

    def __init__(self, address: str, service: str, *, token: str = "", role_id: str = "", secret_id: str = "") -> None:
        self._address = address
        self._service = service
        self._given = token
        self._role_id = role_id
        self._secret_id = secret_id
        self._client: hvac.Client | None = None

    def read(self) -> Secrets:
        """Read the service's secrets."""
        from hvac import exceptions

        try:
            answer = self._call(
                lambda client: client.secrets.kv.v2.read_secret_version(
                    path=self._service, raise_on_deleted_version=False
                )
            )
        except exceptions.InvalidPath:
            return Secrets({}, 0)
        data = answer["data"]
        return Secrets(dict(_flatten(data["data"] or {})), int(data["metadata"]["version"]))

    def renew(self) -> None:
        """Have an AppRole's token live on; where it can't, the next read logs in again. Nothing for a given token."""
        if not self._given:
            self._call(lambda client: client.auth.token.renew_self())

    def end(self) -> None:
        """Revoke an AppRole's token, which nobody needs any more."""
        if not self._given and self._client is not None:
            client, self._client = self._client, None
            self._guarded(lambda: client.auth.token.revoke_self())

    def _call(self, work: Any) -> Any:
        return self._guarded(lambda: work(self._logged_in()))

    def _logged_in(self) -> "hvac.Client":
        import hvac

        if self._client is None:
            client = hvac.Client(url=self._address, token=self._given or None, timeout=TIMEOUT_S)
            if not self._given:
                if not self._role_id:
                    raise VaultError("Vault needs VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID")
                client.auth.approle.login(role_id=self._role_id, secret_id=self._secret_id or None)
            self._client = client
        return self._client

    def _guarded(self, work: Any) -> Any:
        """Translate what hvac and the network raise; InvalidPath passes, it is an answer."""
        import requests
        from hvac import exceptions

        try:
            return work()
        except exceptions.InvalidPath:
            raise
        except (exceptions.VaultDown, exceptions.InternalServerError, exceptions.BadGateway) as error:
            raise VaultAway(f"Vault at {self._address} can't answer now ({type(error).__name__})") from None
        except exceptions.VaultError as error:
            self._client = None
            raise VaultError(f"Vault refuses to give secret/data/{self._service} ({type(error).__name__})") from None
        except (requests.RequestException, ValueError) as error:
            raise VaultAway(f"Vault at {self._address} can't be read ({type(error).__name__})") from None


def read(
    address: str, service: str, *, wait_s: float = 0, token: str = "", role_id: str = "", secret_id: str = ""
) -> dict[str, Any]:
    """Read `secret/data/<service>` once; a token got by AppRole is revoked afterwards.

    A Vault that does not answer is waited for at most `wait_s` seconds. Raises VaultError.
    """
    session = Session(address, service, token=token, role_id=role_id, secret_id=secret_id)
    limit = {"timeout": wait_s, "attempts": None} if wait_s else {"timeout": None, "attempts": 1}
    for attempt in stamina.retry_context(on=VaultAway, wait_max=2, **limit):
        with attempt:
            if attempt.num > 1:
                log.warning("waiting for Vault", address=address, attempt=attempt.num)
            secrets = session.read()
    session.end()
    return secrets.values


class Watch:
    """A task that keeps a login at Vault alive and reports newer secrets: a restart applies them."""

    name = "vault"

    def __init__(self, session: Session, interval_s: float) -> None:
        self._session = session
        self._interval_s = interval_s
        self._version: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Read the version of the secrets each `interval_s` seconds until `stop` is set, then end the session."""
        await Loop(self.name, self._interval_s, self._look).run(stop)
        try:
            await asyncio.to_thread(self._session.end)
        except VaultError as error:
            log.info("the token for Vault is left to expire", error=str(error))

    async def _look(self) -> None:
        try:
            if self._version is not None:
                await asyncio.to_thread(self._session.renew)
            version = (await asyncio.to_thread(self._session.read)).version
        except VaultError as error:
            log.warning("Vault can't be read", error=str(error))
            return
        if self._version is None:
            self._version = version
        OUTDATED.set(version != self._version)
        if version != self._version:
            log.warning(
                "Vault holds newer secrets: restart this service to use them", version=version, used=self._version
            )


def _flatten(data: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in data.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat
