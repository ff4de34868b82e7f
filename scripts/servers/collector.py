"""The OpenTelemetry Collector of the local stack, for `fc up --observe`: it reads the logs and masks what they hold.

Go builds it once from the folder `otelcol`, with the parts that deploy/observability/collector uses.
"""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from servers import golang
from servers.base import HOST, Server
from servers.victorialogs import answers

SOURCE = Path(__file__).parent / "otelcol"
CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "observability" / "collector"
# Without it a line may be lost when the collector is killed.
GATES = "stanza.synchronousLogEmitter"


def program() -> golang.Program:
    """Return the program of this source; another source makes another program."""
    content = b"".join((SOURCE / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    return golang.Program("otelcol", SOURCE, sha256(content).hexdigest()[:12])


@dataclass
class Collector(Server):
    """One collector; `port` answers whether it is healthy, `metrics_port` has its metrics.

    It sends the lines of the files `logs` (a pattern) to the OTLP address `store`. With `traces`, an OTLP address, it
    takes spans on `otlp_port` too.
    """

    metrics_port: int = 0
    logs: str = ""
    store: str = ""
    traces: str = ""
    otlp_port: int = 0

    name = "collector"

    def origin(self) -> str:
        return f"OpenTelemetry Collector in {program().path().parent}"

    def prepare(self) -> None:
        """Make the folder of its state. Raises Missing when the program has not been built."""
        program().path()
        self.home.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        settings = {
            "LOGS_INCLUDE": self.logs,
            "LOGS_ENDPOINT": self.store,
            "COLLECTOR_STATE": str(self.home),
            "COLLECTOR_HOST": HOST,
            "COLLECTOR_HEALTH_PORT": str(self.port),
            "COLLECTOR_METRICS_PORT": str(self.metrics_port),
            "COLLECTOR_OTLP_PORT": str(self.otlp_port),
            "TRACES_ENDPOINT": self.traces,
            "GOMEMLIMIT": "160MiB",
        }
        files = ["logs.yaml", *(["traces.yaml"] if self.traces else [])]
        configuration = [f"--config={CONFIGURATION / name}" for name in files]
        environment = [f"{name}={value}" for name, value in settings.items()]
        return ["env", *environment, str(program().path()), *configuration, f"--feature-gates={GATES}"]

    async def ready(self) -> bool:
        return await asyncio.to_thread(answers, f"http://{HOST}:{self.port}/")
