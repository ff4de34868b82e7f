"""VictoriaLogs, the log store of the local stack: built by Go once, for `fc up --observe`."""

import asyncio
from urllib.request import ProxyHandler, build_opener

from servers import golang
from servers.base import HOST, Server

VERSION = "v1.52.1"
PROGRAM = golang.Program(
    "victoria-logs", f"github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@{VERSION}", VERSION
)
RETENTION = "7d"
DISK = "1GiB"
MEMORY = "64MiB"


class VictoriaLogs(Server):
    """One node on the loopback address; the oldest days are removed when they are past RETENTION or DISK is full."""

    name = "victorialogs"

    @property
    def otlp(self) -> str:
        """Where it takes log lines by OTLP."""
        return f"http://{HOST}:{self.port}/insert/opentelemetry/v1/logs"

    def origin(self) -> str:
        return f"VictoriaLogs {VERSION} in {PROGRAM.path().parent}"

    def prepare(self) -> None:
        """Make the data folder. Raises Missing when the program has not been built."""
        PROGRAM.path()
        self.home.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        return [
            str(PROGRAM.path()),
            f"-httpListenAddr={HOST}:{self.port}",
            f"-storageDataPath={self.home}",
            f"-retentionPeriod={RETENTION}",
            f"-retention.maxDiskSpaceUsageBytes={DISK}",
            f"-memory.allowedBytes={MEMORY}",
            # Of a process that is killed, lines of less than this are lost.
            "-inmemoryDataFlushInterval=1s",
            "-loggerLevel=WARN",
        ]

    async def ready(self) -> bool:
        return await asyncio.to_thread(answers, f"http://{HOST}:{self.port}/health")


def answers(url: str) -> bool:
    """Whether a GET is answered with 200 within two seconds."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
