"""A user, and the rules for names, e-mail addresses and passwords: pure, without any I/O."""

from dataclasses import dataclass
from enum import StrEnum

from email_validator import EmailNotValidError, validate_email

MAX_NAME = 255
MIN_PASSWORD = 8
MAX_PASSWORD = 128
# RFC 3696's largest address with room to spare: longer text is nobody's address and is not parsed.
MAX_EMAIL = 320


class Role(StrEnum):
    """What a user may do; an admin may do everything."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """A registered user. `email` is unique without case."""

    id: int
    name: str
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class Account:
    """A user with what is needed to sign in; `password_hash` never leaves the service."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True)
class NewUser:
    """Who asks to be registered: name trimmed, e-mail normalised, password as typed."""

    name: str
    email: str
    password: str


def normal_email(text: str) -> str:
    """Give the form in which an address is stored and compared: trimmed, checked, lower case.

    Raises ValueError for what is not an address. No name server is asked.
    """
    trimmed = text.strip()
    try:
        if len(trimmed) > MAX_EMAIL:
            raise EmailNotValidError(trimmed[:MAX_EMAIL])
        # "test environment" only means that the reserved domain .test is an address like any other.
        found = validate_email(trimmed, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValueError("is not a valid e-mail address") from None
    if found.domain == "test":
        raise ValueError("is not a valid e-mail address")
    return found.normalized.lower()


def comparable_email(text: str) -> str:
    """Give what a login's address is compared by; never refuses, because accounts may be older than the rules."""
    try:
        return normal_email(text)
    except ValueError:
        return text.strip().lower()


def check_password(password: str) -> str:
    """Return the password as it is. Raises ValueError unless it has 8 to 128 code points."""
    if len(password) < MIN_PASSWORD:
        raise ValueError(f"Password must be at least {MIN_PASSWORD} characters long")
    if len(password) > MAX_PASSWORD:
        raise ValueError(f"Password must be at most {MAX_PASSWORD} characters long")
    return password
