"""The payers' e-mail addresses: userfc is asked once a minute for each of them."""

import time
from collections import OrderedDict
from collections.abc import Callable

from chassis.grpc.users import UserClient

FRESH_S = 60.0
# About 2 MB.
MAX_KNOWN = 10_000


class Payers:
    """Keeps the addresses of the payers that were asked for last, in this process."""

    def __init__(self, users: UserClient, now: Callable[[], float] = time.monotonic) -> None:
        self._users = users
        self._now = now
        self._known: OrderedDict[int, tuple[str, float]] = OrderedDict()

    async def email(self, user_id: int) -> str:
        """Return an address that was right within the last 60 s. Raises NotFound and Unavailable, each time anew."""
        email, asked_at = self._known.get(user_id, ("", float("-inf")))
        now = self._now()
        if now - asked_at >= FRESH_S:
            email = (await self._users.get_user(user_id)).email
            self._known[user_id] = (email, now)
        self._known.move_to_end(user_id)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return email

    def known(self, user_id: int) -> str | None:
        """Return the last address that was heard of, of any age."""
        known = self._known.get(user_id)
        return known[0] if known else None
