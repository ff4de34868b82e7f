"""The name of an account in log lines: the same for the same address, and no address."""

from hashlib import sha256
from hmac import digest

from pydantic import SecretStr

# Keeps this use of JWT_SECRET apart from the signatures of tokens.
_PURPOSE = b"userfc: accounts in log lines"


def account_name(secret: SecretStr, email: str) -> str:
    """Return a keyed hash of a comparable e-mail address: without JWT_SECRET a guess can't be checked."""
    key = digest(secret.get_secret_value().encode(), _PURPOSE, sha256)
    return digest(key, email.encode(), sha256).hex()[:32]
