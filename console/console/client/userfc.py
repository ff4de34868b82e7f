"""The log-in at userfc, which checks passwords and counts tries."""

from collections.abc import Mapping
from types import MappingProxyType

import httpx2

LOGIN_S = 10.0
_KEPT = ("Retry-After",)


class NoToken(Exception):
    """userfc refuses to log a person in, or does not answer; `headers` belong to the answer."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


async def log_in(http: httpx2.AsyncClient, userfc: str, address: str, email: str, password: str) -> str:
    """Return a token for a person. Raises NoToken.

    userfc counts tries by the person's address, if it trusts the console's and that of each proxy between them
    (TRUSTED_PROXIES).
    """
    url, body = f"{userfc}/v1/login", {"email": email, "password": password}
    try:
        answer = await http.post(url, json=body, headers={"X-Forwarded-For": address}, timeout=LOGIN_S)
        said = answer.json()
        if answer.status_code == 200:
            return str(said["token"])
        headers = {name: value for name in _KEPT if (value := answer.headers.get(name))}
        raise NoToken(answer.status_code, str(said["error"]), headers)
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        raise NoToken(503, "userfc does not answer", {"Retry-After": "2"}) from None
