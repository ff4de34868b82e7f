"""Apache Kafka in KRaft mode, one combined node, jars by Maven on the system's Java."""

import shutil
import subprocess

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from servers.base import HOST, Missing, Server, maven

VERSION = "4.4.0"
ARTIFACTS = [f"org.apache.kafka:kafka_2.13:{VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"]

_LOG4J = """Configuration:
  Appenders: {Console: {name: out, PatternLayout: {pattern: "%d %p %c{1} %m%n"}}}
  Loggers: {Root: {level: warn, AppenderRef: {ref: out}}}
"""


class Kafka(Server):
    """One broker. Its controller listens on the next port; topics are not created automatically."""

    name = "kafka"

    def origin(self) -> str:
        java = shutil.which("java")
        if not java:
            raise Missing("java is not installed: install a JDK (17 or newer) and Maven")
        return f"Apache Kafka {VERSION} on {java}"

    def _java(self) -> list[str]:
        libs = maven(f"kafka-{VERSION}", ARTIFACTS) / "libs"
        return ["java", "-cp", f"{libs}/*"]

    def _properties(self) -> str:
        return "\n".join(
            [
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.bootstrap.servers={HOST}:{self.port + 1}",
                f"listeners=PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.port + 1}",
                f"advertised.listeners=PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.port + 1}",
                "controller.listener.names=CONTROLLER",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                f"log.dirs={self.home / 'data'}",
                "auto.create.topics.enable=false",
                "offsets.topic.replication.factor=1",
                "offsets.topic.num.partitions=10",
                "transaction.state.log.replication.factor=1",
                "transaction.state.log.min.isr=1",
                "share.coordinator.state.topic.replication.factor=1",
                "share.coordinator.state.topic.min.isr=1",
                "group.initial.rebalance.delay.ms=0",
                "group.min.session.timeout.ms=1000",
                "broker.session.timeout.ms=2000",
                "broker.heartbeat.interval.ms=500",
                "log.cleaner.dedupe.buffer.size=8388608",
                "num.network.threads=2",
                "num.io.threads=2",
                "",
            ]
        )

    def prepare(self) -> None:
        """Write the configuration and format the log folder once."""
        self.home.mkdir(parents=True, exist_ok=True)
        properties = self.home / "server.properties"
        properties.write_text(self._properties(), encoding="utf-8")
        (self.home / "log4j2.yaml").write_text(_LOG4J, encoding="utf-8")
        if (self.home / "data" / "meta.properties").exists():
            return
        shutil.rmtree(self.home / "data", ignore_errors=True)
        tool = [*self._java(), "kafka.tools.StorageTool"]
        identity = _run([*tool, "random-uuid"]).split()[-1]
        _run([*tool, "format", "-t", identity, "-c", str(properties), "--standalone"])

    def command(self) -> list[str]:
        """Return the command, with a small heap."""
        java, *classpath = self._java()
        heap = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        logging = f"-Dlog4j2.configurationFile={self.home / 'log4j2.yaml'}"
        return [java, *heap, logging, *classpath, "kafka.Kafka", str(self.home / "server.properties")]

    async def ready(self) -> bool:
        """Whether the cluster has its one broker."""
        admin = AIOKafkaAdminClient(bootstrap_servers=f"{HOST}:{self.port}", request_timeout_ms=2000)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
            return len(cluster["brokers"]) == 1
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await admin.close()


def _run(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode:
        raise Missing(f"{' '.join(command[-6:])} failed:\n{result.stderr[-2000:]}")
    return result.stdout
