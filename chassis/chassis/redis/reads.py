"""One connection to Redis that all reads of a process share: those of one turn of the event loop are one command.

The client of redis-py lends a connection to each command, which costs forty times more than sharing one (ADR 19).
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, MasterDownError, ReadOnlyError, RedisError, ResponseError

from chassis.redis.patience import STEPS, Steps, patient

Values = list[bytes | None]


@dataclass(frozen=True)
class Address:
    """Where Redis is, and how to log in there."""

    host: str
    port: int
    password: str | None
    tls: ssl.SSLContext | None
    client_name: str


class RedisReads:
    """Reads keys. Connects when it is first used, and again after the connection was lost."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._opening: asyncio.Task[_Connection] | None = None

    async def mget(self, *keys: str) -> Values:
        """Return the values of the keys. Raises RedisError, OSError, or TimeoutError when there is no answer in time.

        A read that a restarted server has cut off is made once more.
        """
        connection = self._connection or await self._open()
        try:
            return await connection.read(keys)
        except RedisConnectionError:
            connection = self._connection or await self._open()
            return await connection.read(keys)

    async def lindex(self, key: str, index: int) -> bytes | None:
        """Return the element of a list, None where the list is shorter. Otherwise as `mget`."""
        connection = self._connection or await self._open()
        try:
            return cast(bytes | None, await connection.ask(b"LINDEX", key, str(index)))
        except RedisConnectionError:
            connection = self._connection or await self._open()
            return cast(bytes | None, await connection.ask(b"LINDEX", key, str(index)))

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        self.leave()

    def leave(self) -> None:
        """Let the next read connect anew, and those that wait."""
        if self._connection is not None:
            self._connection.lose(RedisConnectionError("the server was left"))

    async def _open(self) -> "_Connection":
        """Let all who need a connection wait for the same one."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, opening: asyncio.Task["_Connection"]) -> None:
        self._opening = None
        # Retrieved here too, for the case that all who waited were cancelled.
        if not opening.cancelled():
            opening.exception()

    async def _connect(self) -> "_Connection":
        address = self._address
        async with patient(self._timeout_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._timeout_s, self._lost), address.host, address.port, ssl=address.tls
            )
        try:
            if address.password:
                await connection.ask(b"AUTH", address.password)
            await connection.ask(b"CLIENT", b"SETNAME", address.client_name)
        except BaseException:
            connection.lose(RedisConnectionError("not logged in"))
            raise
        self._connection = connection
        return connection

    def _lost(self, connection: "_Connection") -> None:
        if self._connection is connection:
            self._connection = None


class _Single:
    """A command of one caller."""

    def __init__(self, answer: "asyncio.Future[Any]", since: int) -> None:
        self.since = since
        self._answer = answer

    def end(self, value: object) -> None:
        """Hand the answer, or the exception, to the caller, unless it is gone."""
        if self._answer.done():
            return
        if isinstance(value, Exception):
            self._answer.set_exception(value)
        else:
            self._answer.set_result(value)


class _Reads:
    """The reads of one turn of the event loop: one MGET, in which each key is once."""

    def __init__(self, since: int) -> None:
        self.since = since
        self._callers: list[tuple[asyncio.Future[Values], tuple[str, ...]]] = []

    def add(self, answer: "asyncio.Future[Values]", keys: tuple[str, ...]) -> None:
        self._callers.append((answer, keys))

    def command(self) -> bytes:
        """Return the command, of which nothing may change afterwards."""
        self._keys = dict.fromkeys(key for _, keys in self._callers for key in keys)
        return cast(bytes, hiredis.pack_command(cast(Any, (b"MGET", *self._keys))))

    def end(self, value: object) -> None:
        """Hand each caller its values, or the exception, unless it is gone. Raises InvalidResponse."""
        if isinstance(value, Exception):
            for answer, _ in self._callers:
                if not answer.done():
                    answer.set_exception(value)
            return
        if not isinstance(value, list) or len(value) != len(self._keys):
            raise InvalidResponse("another number of values than of keys")
        values = dict(zip(self._keys, value, strict=True))
        for answer, keys in self._callers:
            if not answer.done():
                answer.set_result([values[key] for key in keys])


class _Connection(asyncio.Protocol):
    """Commands that were asked together are sent together. The first without an answer in time ends the connection.

    A command whose caller is gone keeps its place, because its answer will come.
    """

    def __init__(self, timeout_s: float, on_lost: Callable[["_Connection"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=_error)
        self._transport: asyncio.Transport | None = None
        # The reads of this turn, which are sent at its end.
        self._unsent: _Reads | None = None
        self._waiting: deque[_Single | _Reads] = deque()
        self._steps = Steps(timeout_s, self._check)
        self._now = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.lose(RedisConnectionError(f"the connection was lost: {error or 'closed by the server'}"))

    def ask(self, *command: bytes | str) -> "asyncio.Future[Any]":
        """Send a command at once, and return its future answer."""
        answer = self._loop.create_future()
        if self._transport is None:
            answer.set_exception(RedisConnectionError("the connection was lost"))
            return answer
        # Those that were asked before have their place before it.
        self._send()
        self._wait_for(_Single(answer, self._now))
        self._transport.write(hiredis.pack_command(cast(Any, command)))
        return answer

    def read(self, keys: tuple[str, ...]) -> "asyncio.Future[Values]":
        """Return the future values of keys."""
        answer = self._loop.create_future()
        if self._transport is None:
            answer.set_exception(RedisConnectionError("the connection was lost"))
            return answer
        if self._unsent is None:
            self._unsent = _Reads(self._now)
            self._wait_for(self._unsent)
            self._loop.call_soon(self._send)
        self._unsent.add(answer, keys)
        return answer

    def _wait_for(self, command: _Single | _Reads) -> None:
        self._waiting.append(command)
        if not self._steps.running:
            self._steps.start()

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (value := self._reader.gets()) is not False:
                self._waiting[0].end(value)
                self._waiting.popleft()
        except (InvalidResponse, IndexError) as error:
            self.lose(InvalidResponse(f"not an answer to what was asked: {error}"))

    def lose(self, error: Exception) -> None:
        """Close the connection, and end all that wait with the error."""
        self._steps.stop()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        while self._waiting:
            self._waiting.popleft().end(error)
        self._on_lost(self)

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, None
        # Those of a lost connection have their error.
        if unsent is not None and self._transport is not None:
            self._transport.write(unsent.command())

    def _check(self) -> None:
        """End the connection when the oldest command has waited for too long; called a few times in the time limit."""
        self._now += 1
        if not self._waiting:
            self._steps.stop()
        elif self._now - self._waiting[0].since > STEPS:
            self.lose(TimeoutError("no answer in time"))


# By the first word of the answer; the first of them is said by a server that has just started, and is away for now.
_ERRORS: dict[str, type[RedisError]] = {
    "LOADING": RedisConnectionError,
    "READONLY": ReadOnlyError,
    "MASTERDOWN": MasterDownError,
}


def _error(text: str) -> Exception:
    return _ERRORS.get(text.partition(" ")[0], ResponseError)(text)
