"""Reads a service's secrets from Vault's KV version 2 engine, once, at start."""

from typing import Any

TIMEOUT_S = 5


class VaultError(Exception):
    """Vault can't be read; the text says why and holds no secret."""


def read(address: str, service: str, *, token: str = "", role_id: str = "", secret_id: str = "") -> dict[str, Any]:
    """Read `secret/data/<service>` as a flat dictionary with dotted keys; empty when nothing is stored there.

    Logs in with the token, or by AppRole when there is none. Raises VaultError when Vault is down or refuses.
    """
    import hvac
    import requests
    from hvac import exceptions

    try:
        client = hvac.Client(url=address, token=token or None, timeout=TIMEOUT_S)
        if not token:
            if not role_id:
                raise VaultError("Vault needs VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID")
            client.auth.approle.login(role_id=role_id, secret_id=secret_id or None)
        answer = client.secrets.kv.v2.read_secret_version(path=service, raise_on_deleted_version=False)
    except exceptions.InvalidPath:
        return {}
    except exceptions.VaultError as error:
        raise VaultError(f"Vault refuses to give secret/data/{service} ({type(error).__name__})") from None
    except (requests.RequestException, ValueError) as error:
        raise VaultError(f"Vault at {address} can't be read ({type(error).__name__})") from None
    data = answer["data"]["data"] or {}
    return dict(_flatten(data))


def _flatten(data: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in data.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat
