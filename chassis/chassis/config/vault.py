"""A service's secrets in Vault's KV version 2 engine: read once at start, then watched for a newer version."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Gauge

from chassis.loops import Loop

if TYPE_CHECKING:
    import hvac


log = structlog.get_logger(__name__)

TIMEOUT_S = 5
OUTDATED = Gauge(
    "gocommerce_vault_secrets_outdated", "1 when Vault holds newer secrets than this process was started with"
)


class VaultError(Exception):
    """Vault can't be read; the text says why and holds no secret."""


class VaultAway(VaultError):
    """Vault does not answer, or is sealed or failing (5xx): the same call can succeed later."""


@dataclass(frozen=True)
class Secrets:
    """The content of `secret/data/<service>`, flat with dotted keys; `version` is 0 when nothing is stored there."""

    values: dict[str, Any]
    version: int


class Session:
    """One login at Vault, by token or by AppRole. Every method may raise VaultError."""

    def __init__(self, address: str, service: str, *, token: str = "", role_id: str = "", secret_id: str = "") -> None:
        self._address = address
        self._service = service
        self._token = token
        self._role_id = role_id
        self._secret_id = secret_id
        self._client: hvac.Client | None = None

    def read(self) -> Secrets:
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
        """Renew the token of an AppRole. If it can't be renewed, the next read logs in again."""
        if not self._token:
            self._call(lambda client: client.auth.token.renew_self())

    def end(self) -> None:
        """Revoke the token of an AppRole. A token that can't be revoked expires by itself."""
        from hvac import exceptions

        if self._token or self._client is None:
            return
        client, self._client = self._client, None
        try:
            self._guarded(lambda: client.auth.token.revoke_self())
        except (VaultError, exceptions.InvalidPath) as error:
            log.warning("the token for Vault is left to expire", error=str(error))

    def _call(self, work: Any) -> Any:
        return self._guarded(lambda: work(self._logged_in()))

    def _logged_in(self) -> "hvac.Client":
        import hvac

        if self._client is None:
            client = hvac.Client(url=self._address, token=self._token or None, timeout=TIMEOUT_S)
            if not self._token:
                if not self._role_id:
                    raise VaultError("Vault needs VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID")
                client.auth.approle.login(role_id=self._role_id, secret_id=self._secret_id or None)
            self._client = client
        return self._client

    def _guarded(self, work: Any) -> Any:
        """Translate the errors of hvac and the network. InvalidPath passes: it is an answer."""
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
    """Read `secret/data/<service>` once; the token of an AppRole is revoked afterwards.

    Waits at most `wait_s` seconds for a Vault that does not answer. Raises VaultError.
    """
    import stamina

    session = Session(address, service, token=token, role_id=role_id, secret_id=secret_id)
    limit = {"timeout": wait_s, "attempts": None} if wait_s else {"timeout": None, "attempts": 1}
    # This function writes one line for all tries; stamina would write one for each.
    stamina.instrumentation.set_on_retry_hooks(())
    for attempt in stamina.retry_context(on=VaultAway, wait_max=2, **limit):
        with attempt:
            if attempt.num == 2:
                log.warning("waiting for Vault", address=address, wait_s=wait_s)
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
        await asyncio.to_thread(self._session.end)

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
