"""Somebody signs in."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Login:
    """Checks who signs in and makes the token. `failures` limits the wrong passwords of one account."""

    db: Database
    passwords: Passwords
    failures: Limit
    secret: SecretStr

    async def __call__(self, email: str, password: str) -> str:
        """Give a token for an hour.

        Raises BadCredentials (after the same work for an unknown user as for a wrong password), TooManyTries and
        PasswordsBusy.
        """
        subject = comparable_email(email)
        await self.failures.test(subject)
        account = await users.by_email(self.db, subject)
        legacy_about = await users.any_legacy_hash(self.db)
        stored = None if account is None else account.password_hash
        checked = await self.passwords.check(password, stored, legacy_about=legacy_about)
        if account is None or stored is None or not checked.ok:
            # The answer is told only if this failure could be counted: guesses made at the same time count as well.
            await self.failures.hit(subject)
            raise BadCredentials
        await self.failures.test(subject)
        if checked.renewed is not None:
            async with self.db.transaction() as tx:
                await users.renew_hash(tx, account.user.id, stored, checked.renewed)
            log.info("password hash renewed", user_id=account.user.id)
        user = account.user
        return encode_token(self.secret, user_id=user.id, email=user.email, role=user.role)
