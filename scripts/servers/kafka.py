"""Apache Kafka in KRaft mode, of combined nodes (broker and controller), jars by Maven on the system's Java."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from servers.base import HOST, JAVA_ENVIRONMENT, Missing, Server, Tls, maven

VERSION = "4.4.0"
ARTIFACTS = [f"org.apache.kafka:kafka_2.13:{VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"]

# The user of a broker with TLS.
USER = "shop"
PASSWORD = "broker-password"

_LOG4J = """Configuration:
  Appenders: {Console: {name: out, PatternLayout: {pattern: "%d %p %c{1} %m%n"}}}
  Loggers: {Root: {level: warn, AppenderRef: {ref: out}}}
"""


@dataclass(frozen=True)
class Cluster:
    """Several brokers on one machine: node n listens on the n-th port, its controller on the next one.

    `folder` notes which nodes have had data. `directories` are the ids of the log folders that the first controllers
    begin with, in the order of the nodes.
    """

    folder: Path
    identity: str
    ports: tuple[int, ...]
    directories: tuple[str, ...]

    def had_data(self, node: int) -> Path:
        """The file that exists once a node has been given a log folder."""
        return self.folder / f"node-{node}"

    def voters(self) -> str:
        """The first controllers, as the tool that formats a log folder takes them."""
        named = enumerate(zip(self.ports, self.directories, strict=True), start=1)
        return ",".join(f"{node}@{HOST}:{port + 1}:{directory}" for node, (port, directory) in named)


@dataclass
class Kafka(Server):
    """One broker, alone or of a cluster. Its controller listens on the next port; topics are not made by their use."""

    node: int = 1
    cluster: Cluster | None = None

    name = "kafka"
    environment = JAVA_ENVIRONMENT

    def __post_init__(self) -> None:
        if self.node > 1:
            self.name = f"kafka-{self.node}"

    def origin(self) -> str:
        java = shutil.which("java")
        if not java:
            raise Missing("java is not installed: install a JDK (17 or newer) and Maven")
        return f"Apache Kafka {VERSION} on {java}"

    def _java(self) -> list[str]:
        libs = maven(f"kafka-{VERSION}", ARTIFACTS) / "libs"
        return ["java", "-cp", f"{libs}/*"]

    @property
    def _protocol(self) -> str:
        return "SASL_SSL" if self.tls else "PLAINTEXT"

    def _properties(self) -> str:
        ports = self.cluster.ports if self.cluster else (self.port,)
        # Of three copies two have to be there, as in production.
        copies, in_sync = (len(ports), 2) if self.cluster else (1, 1)
        return "\n".join(
            [
                "process.roles=broker,controller",
                f"node.id={self.node}",
                f"broker.rack=rack-{self.node}",
                f"controller.quorum.bootstrap.servers={','.join(f'{HOST}:{port + 1}' for port in ports)}",
                f"listeners={self._protocol}://{HOST}:{self.port},CONTROLLER://{HOST}:{self.port + 1}",
                f"advertised.listeners={self._protocol}://{HOST}:{self.port},CONTROLLER://{HOST}:{self.port + 1}",
                "controller.listener.names=CONTROLLER",
                f"listener.security.protocol.map={self._protocol}:{self._protocol},CONTROLLER:PLAINTEXT",
                f"log.dirs={_escaped(self.home / 'data')}",
                "auto.create.topics.enable=false",
                f"default.replication.factor={copies}",
                f"min.insync.replicas={in_sync}",
                f"offsets.topic.replication.factor={copies}",
                "offsets.topic.num.partitions=10",
                f"transaction.state.log.replication.factor={copies}",
                f"transaction.state.log.min.isr={in_sync}",
                f"share.coordinator.state.topic.replication.factor={copies}",
                f"share.coordinator.state.topic.min.isr={in_sync}",
                "group.initial.rebalance.delay.ms=0",
                "group.min.session.timeout.ms=1000",
                "broker.session.timeout.ms=2000",
                "broker.heartbeat.interval.ms=500",
                "log.cleaner.dedupe.buffer.size=8388608",
                "num.network.threads=2",
                "num.io.threads=2",
                *(self._cluster_properties() if self.cluster else ()),
                *(self._tls_properties(self.tls) if self.tls else ()),
                "",
            ]
        )

    def _cluster_properties(self) -> list[str]:
        return [
            # A node that comes with an empty folder takes the place of the controller that it was.
            "controller.quorum.auto.join.enable=true",
            # The leader of a partition returns to the broker that should have it half a minute after that is back.
            "leader.imbalance.check.interval.seconds=30",
        ]

    def _tls_properties(self, tls: Tls) -> list[str]:
        """Return what makes the listener take TLS with a password of USER, by PLAIN or SCRAM-SHA-512."""
        store = self.home / "server.pem"
        store.write_text(Path(tls.key).read_text() + Path(tls.cert).read_text())
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        login = f'username="{USER}" password="{PASSWORD}"'
        return [
            "inter.broker.listener.name=SASL_SSL",
            "sasl.mechanism.inter.broker.protocol=PLAIN",
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
            f'listener.name.sasl_ssl.plain.sasl.jaas.config={module} required {login} user_{USER}="{PASSWORD}";',
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={_escaped(store)}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={_escaped(Path(tls.ca))}",
        ]

    def prepare(self) -> None:
        """Write the configuration and format the log folder once."""
        if "," in str(self.home):
            raise Missing(f"Kafka takes no comma in a path: {self.home}. FC_HOME chooses another folder")
        self.home.mkdir(parents=True, exist_ok=True)
        properties = self.home / "server.properties"
        properties.write_text(self._properties(), encoding="utf-8")
        (self.home / "log4j2.yaml").write_text(_LOG4J, encoding="utf-8")
        if not (self.home / "data" / "meta.properties").exists():
            shutil.rmtree(self.home / "data", ignore_errors=True)
            self._format(properties)
        if self.cluster:
            self.cluster.had_data(self.node).touch()

    def _format(self, properties: Path) -> None:
        tool = [*self._java(), "kafka.tools.StorageTool"]
        if self.cluster is None:
            identity, quorum = _run([*tool, "random-uuid"]).split()[-1], ["--standalone"]
        else:
            identity = self.cluster.identity
            # A controller whose log is gone may not vote as the one that it was: it has forgotten its votes.
            empty_again = self.cluster.had_data(self.node).exists()
            quorum = ["--no-initial-controllers"] if empty_again else ["--initial-controllers", self.cluster.voters()]
        users = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"] if self.tls else []
        _run([*tool, "format", "-t", identity, "-c", str(properties), *quorum, *users])

    def command(self) -> list[str]:
        """Return the command, with a small heap."""
        java, *classpath = self._java()
        heap = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        logging = f"-Dlog4j2.configurationFile={self.home / 'log4j2.yaml'}"
        return [java, *heap, logging, *classpath, "kafka.Kafka", str(self.home / "server.properties")]

    async def ready(self) -> bool:
        """Whether this broker answers and is one of its cluster."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=f"{HOST}:{self.port}",
            request_timeout_ms=2000,
            security_protocol=self._protocol,
            ssl_context=self.tls.client_context() if self.tls else None,
            sasl_plain_username=USER,
            sasl_plain_password=PASSWORD,
        )
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
            return any(broker["node_id"] == self.node for broker in cluster["brokers"])
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await admin.close()


def _escaped(path: Path) -> str:
    """Write a path as a value of a .properties file, which Java reads as Latin-1; its escapes are those of JSON."""
    return json.dumps(str(path))[1:-1]


def _run(command: list[str]) -> str:
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **JAVA_ENVIRONMENT}
    )
    if result.returncode:
        raise Missing(f"{' '.join(command[-6:])} failed:\n{result.stderr[-2000:]}")
    return result.stdout
