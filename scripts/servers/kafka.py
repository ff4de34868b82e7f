"""Apache Kafka in KRaft mode, one combined node, jars by Maven on the system's Java."""

import json
import os
import shutil
import subprocess
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


class Kafka(Server):
    """One broker. Its controller listens on the next port; topics are not created automatically."""

    name = "kafka"
    environment = JAVA_ENVIRONMENT

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
        return "\n".join(
            [
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.bootstrap.servers={HOST}:{self.port + 1}",
                f"listeners={self._protocol}://{HOST}:{self.port},CONTROLLER://{HOST}:{self.port + 1}",
                f"advertised.listeners={self._protocol}://{HOST}:{self.port},CONTROLLER://{HOST}:{self.port + 1}",
                "controller.listener.names=CONTROLLER",
                f"listener.security.protocol.map={self._protocol}:{self._protocol},CONTROLLER:PLAINTEXT",
                f"log.dirs={_escaped(self.home / 'data')}",
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
                *(self._tls_properties(self.tls) if self.tls else ()),
                "",
            ]
        )

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
        if (self.home / "data" / "meta.properties").exists():
            return
        shutil.rmtree(self.home / "data", ignore_errors=True)
        tool = [*self._java(), "kafka.tools.StorageTool"]
        identity = _run([*tool, "random-uuid"]).split()[-1]
        users = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"] if self.tls else []
        _run([*tool, "format", "-t", identity, "-c", str(properties), "--standalone", *users])

    def command(self) -> list[str]:
        """Return the command, with a small heap."""
        java, *classpath = self._java()
        heap = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        logging = f"-Dlog4j2.configurationFile={self.home / 'log4j2.yaml'}"
        return [java, *heap, logging, *classpath, "kafka.Kafka", str(self.home / "server.properties")]

    async def ready(self) -> bool:
        """Whether the cluster has its one broker."""
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
            return len(cluster["brokers"]) == 1
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
