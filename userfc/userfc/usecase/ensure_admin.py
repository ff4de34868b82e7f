"""The administrator named in the settings exists, with the password named there."""

import structlog

from chassis.db.database import Database
from userfc.model import Role
from userfc.repository import users
from userfc.service.passwords import Passwords

log = structlog.get_logger(__name__)

NAME = "Administrator"


async def ensure_admin(db: Database, passwords: Passwords, email: str, password: str) -> None:
    """Make the administrator, or correct the role and the password of the account that has its address.

    The settings win: they are the only way to change this password, and whoever registered the address first does not
    keep it. Does nothing when all is as it should be; replicas may do it at the same time.
    """
    account = await users.by_email(db, email)
    if account is None:
        password_hash = await passwords.hash(password)
        async with db.transaction() as tx:
            user_id = await users.insert(tx, NAME, email, password_hash, Role.ADMIN)
        if user_id is not None:
            log.info("administrator created", user_id=user_id)
            return
        account = await users.by_email(db, email)
        assert account is not None
    checked = await passwords.check(password, account.password_hash, check_bcrypt=False)
    if account.user.role == Role.ADMIN and checked.ok and checked.renewed is None:
        return
    password_hash = checked.renewed or await passwords.hash(password)
    async with db.transaction() as tx:
        await users.make_admin(tx, account.user.id, password_hash)
    log.info("administrator corrected", user_id=account.user.id)
