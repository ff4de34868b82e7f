"""A TCP proxy before everything that the services of a stack call, in a thread beside the test's event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fc.stack.layout import Layout
from testkit.proxy import Proxy

PARTS = ("postgres", "kafka", "redis", "mongo", "grpc", "productfc", "xendit")
"""What the services reach through a proxy: `grpc` is userfc's, `productfc` its HTTP."""


class Wire:
    """The connections of all services to one part; the modes are the proxy's."""

    def __init__(self, proxy: Proxy, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy = proxy
        self._loop = loop

    async def _do(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def restore(self) -> None:
        await self._do(self._proxy.restore())

    async def refuse(self) -> None:
        """End all connections and refuse new ones."""
        await self._do(self._proxy.refuse())

    async def blackhole(self) -> None:
        """Accept data and forward none."""
        await self._do(self._proxy.blackhole())

    async def delay(self, seconds: float) -> None:
        """Delay each chunk of an answer."""
        await self._do(self._proxy.delay(seconds))

    async def cut(self, after_bytes: int) -> None:
        """End each connection after so many more bytes of its answers."""
        await self._do(self._proxy.cut(after_bytes))

    def share(self, *ports: int) -> None:
        """Spread new connections over the part and its replicas at these ports."""
        self._proxy.share(ports)

    @asynccontextmanager
    async def broken(self, mode: str, *values: float) -> AsyncIterator[None]:
        """Set a mode (`refuse`, `blackhole`, `delay`, `cut`) for the block, and restore afterwards."""
        await getattr(self, mode)(*values)
        try:
            yield
        finally:
            await self.restore()


class Network:
    """The wires of a stack by the names of PARTS; see `Stack.for_tests(home, {}, network.between)`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._proxies: dict[str, Proxy] = {}

    def between(self, layout: Layout) -> dict[str, int]:
        """Make the proxies of a stack and return their ports."""
        self._proxies = {name: Proxy("127.0.0.1", layout.port(name), kafka=name == "kafka") for name in PARTS}
        return {name: proxy.port for name, proxy in self._proxies.items()}

    def __getitem__(self, name: str) -> Wire:
        return Wire(self._proxies[name], self._loop)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Forward everything until the block ends."""
        self._thread.start()
        try:
            self._all("restore")
            yield
        finally:
            self._all("close")
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def _all(self, mode: str) -> None:
        for proxy in self._proxies.values():
            asyncio.run_coroutine_threadsafe(getattr(proxy, mode)(), self._loop).result(10)
