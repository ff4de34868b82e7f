"""Signs a user in: checks the password and makes a token."""

import structlog
from pydantic import SecretStr

from chassis.auth.tokens import encode_token
from chassis.db.database import Database
from userfc.errors import BadCredentials
from userfc.model import comparable_email
from userfc.repository import users
from userfc.repository.limits import Limit
from userfc.service.passwords import Passwords

log = structlog.get_logger(__name__)


async def login(
    db: Database, passwords: Passwords, failures: Limit, secret: SecretStr, email: str, password: str
) -> str:
    """Check a password and return a token for an hour. `failures` limits the wrong passwords of one account.

    Raises BadCredentials (in the same time for an unknown user as for a wrong password), TooManyTries and
    PasswordsBusy.
    """
    subject = comparable_email(email)
    await failures.test(subject)
    account = await users.by_email(db, subject)
    check_bcrypt = await users.legacy_hashes_exist(db)
    stored = None if account is None else account.password_hash
    check = await passwords.check(password, stored, check_bcrypt=check_bcrypt)
    if account is None or stored is None or not check.ok:
        # Counted before the answer, so that concurrent guesses count as well.
        await failures.hit(subject)
        raise BadCredentials
    await failures.test(subject)
    if check.new_hash is not None:
        async with db.transaction() as tx:
            await users.renew_hash(tx, account.user.id, stored, check.new_hash)
        log.info("password hash renewed", user_id=account.user.id)
    user = account.user
    return encode_token(secret, user_id=user.id, email=user.email, role=user.role)
