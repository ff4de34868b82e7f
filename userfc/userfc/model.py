"""Users and the rules for e-mail addresses and passwords: pure objects and functions, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

MAX_NAME = 255
MIN_PASSWORD = 8
MAX_PASSWORD = 128
# Passwords of this rank are refused: they are tried first.
COMMONEST = 3_000
# The longest address by RFC 3696. Longer texts are refused without being parsed.
MAX_EMAIL = 320


class Role(StrEnum):
    """The role of a user. An admin has all permissions."""

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
    """A user with the password hash, which never leaves the service."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True)
class NewUser:
    """A registration: name trimmed, e-mail address normalised, password as typed."""

    name: str
    email: str
    password: str


def normal_email(text: str) -> str:
    """Return the form in which an address is stored and compared: trimmed, checked, lower case.

    Raises ValueError for a text that is not an address. No name server is queried.
    """
    from email_validator import EmailNotValidError, validate_email

    trimmed = text.strip()
    try:
        if len(trimmed) > MAX_EMAIL:
            raise EmailNotValidError(trimmed[:MAX_EMAIL])
        # `test_environment` allows the reserved domain .test and nothing else.
        address = validate_email(trimmed, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValueError("is not a valid e-mail address") from None
    if address.domain == "test":
        raise ValueError("is not a valid e-mail address")
    return address.normalized.lower()


def comparable_email(text: str) -> str:
    """Return the form of a login's address. Malformed ones are not refused: old accounts may have them."""
    try:
        return normal_email(text)
    except ValueError:
        return text.strip().lower()


def _common() -> frozenset[str]:
    """Return the commonest passwords that are long enough.

    The library lists each text once, where it ranks highest: as a password, a name or a word. So the passwords that are
    among the COMMONEST are among the first of one of its lists.
    """
    first = (texts[:COMMONEST] for texts in _frequency_lists().values())
    return frozenset(text for texts in first for text in texts if len(text) >= MIN_PASSWORD)


def _frequency_lists() -> Mapping[str, Sequence[str]]:
    """Load zxcvbn's lists without the package, whose import builds matchers of them for longer than all of ours."""
    package = find_spec("zxcvbn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'zxcvbn'", name="zxcvbn")
    lists = ModuleType("frequency_lists")
    SourceFileLoader(lists.__name__, str(Path(package.origin).with_name("frequency_lists.py"))).exec_module(lists)
    return dict(lists.FREQUENCY_LISTS)


_COMMON = _common()


def check_password(password: str) -> str:
    """Return the password as it is. Raises ValueError unless it has 8 to 128 code points and is not a common one."""
    if len(password) < MIN_PASSWORD:
        raise ValueError(f"Password must be at least {MIN_PASSWORD} characters long")
    if len(password) > MAX_PASSWORD:
        raise ValueError(f"Password must be at most {MAX_PASSWORD} characters long")
    if password.lower() in _COMMON:
        raise ValueError("Password is one of the most common ones")
    return password
