"""Ensures that the administrator of the settings exists, with the password of the settings."""

import structlog

from chassis.db.database import Database
from userfc.model import Role
from userfc.repository import users
from userfc.service.passwords import Passwords

log = structlog.get_logger(__name__)

NAME = "Administrator"


async def ensure_admin(db: Database, passwords: Passwords, email: str, password: str) -> None:
    """Create the administrator, or correct the role and the password of the account with this address.

    The settings win: changing them is the only way to change this password, and a user who registered the address
    before loses the account. Does nothing when the account is right. Replicas may call this at the same time.
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
    if account is None:
        raise RuntimeError("the account of the administrator was deleted while it was being checked")
    check = await passwords.check(password, account.password_hash, check_bcrypt=False)
    if account.user.role == Role.ADMIN and check.ok and check.new_hash is None:
        return
    password_hash = check.new_hash or await passwords.hash(password)
    async with db.transaction() as tx:
        await users.make_admin(tx, account.user.id, password_hash)
    log.info("administrator corrected", user_id=account.user.id)
