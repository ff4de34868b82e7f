"""Registers a user."""

import structlog

from chassis.db.database import Database
from userfc.errors import EmailTaken
from userfc.model import NewUser, Role
from userfc.repository import users
from userfc.service.passwords import Passwords

log = structlog.get_logger(__name__)


async def register(db: Database, passwords: Passwords, new: NewUser) -> int:
    """Store the user and return its id. Raises EmailTaken, also for the slower of two at once, and PasswordsBusy."""
    password_hash = await passwords.hash(new.password)
    async with db.transaction() as tx:
        user_id = await users.insert(tx, new.name, new.email, password_hash, Role.USER)
    if user_id is None:
        raise EmailTaken
    log.info("user registered", user_id=user_id)
    return user_id
