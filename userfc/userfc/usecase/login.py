"""Signs a user in: checks the password and makes a token."""

import structlog
from prometheus_client import Counter
from pydantic import SecretStr

from chassis.auth.tokens import ADMIN, encode_token
from chassis.db.database import Database
from userfc.errors import BadCredentials
from userfc.model import comparable_email
from userfc.repository import users
from userfc.repository.limits import Limits
from userfc.service.accounts import account_name
from userfc.service.passwords import Passwords

log = structlog.get_logger(__name__)

LOGINS = Counter("gocommerce_logins_total", "Checked log-ins by outcome and role", ["outcome", "role"])


async def login(
    db: Database, passwords: Passwords, limits: Limits, secret: SecretStr, *, address: str, email: str, password: str
) -> str:
    """Check a password and return a token for an hour. Wrong passwords are limited per account, and per address too.

    Raises BadCredentials (in the same time for an unknown user as for a wrong password), TooManyTries, PasswordsBusy,
    and Unavailable when failures can't be counted.
    """
    limits.require_shared_counts()
    subject = comparable_email(email)
    failures = limits.failures(subject, address)
    await failures.test()
    account, check_bcrypt = await users.for_login(db, subject)
    stored = None if account is None else account.password_hash
    check = await passwords.check(password, stored, check_bcrypt=check_bcrypt)
    if account is None or stored is None or not check.ok:
        LOGINS.labels("failed", "unknown" if account is None else account.user.role).inc()
        log.warning("login failed", account=account_name(secret, subject), address=address)
        # Counted before the answer, so that concurrent guesses count as well.
        await failures.hit()
        raise BadCredentials
    await failures.test()
    if check.new_hash is not None:
        async with db.transaction() as tx:
            await users.renew_hash(tx, account.user.id, stored, check.new_hash)
        log.info("password hash renewed", user_id=account.user.id)
    user = account.user
    LOGINS.labels("succeeded", user.role).inc()
    if user.role == ADMIN:
        log.info("admin signed in", user_id=user.id, address=address)
    return encode_token(secret, user_id=user.id, email=user.email, role=user.role)
