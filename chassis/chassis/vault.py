"""Secrets from Vault's KV v2 engine at `secret/data/<service>`, by token or AppRole, read once at start."""

from typing import Any

import hvac
import requests

TIMEOUT_S = 5
MOUNT = "secret"


class VaultError(RuntimeError):
    """Vault is configured and did not give the secrets; the text says why in one line."""


def read(
    service: str, address: str, *, token: str | None = None, role_id: str | None = None, secret_id: str | None = None
) -> dict[str, Any]:
    """Read the service's secrets: a dictionary with dotted or nested keys, empty when the path does not exist.

    Raises VaultError when Vault can't be reached or refuses.
    """
    try:
        client = hvac.Client(url=address, token=token, timeout=TIMEOUT_S)
        if role_id and secret_id:
            client.auth.approle.login(role_id=role_id, secret_id=secret_id)
        answer = client.secrets.kv.v2.read_secret_version(
            path=service, mount_point=MOUNT, raise_on_deleted_version=True
        )
    except hvac.exceptions.InvalidPath:
        return {}
    except (hvac.exceptions.VaultError, requests.RequestException) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise VaultError(f"Vault at {address}: {reason}") from error
    return dict(answer["data"]["data"])
