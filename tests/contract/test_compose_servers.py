"""The servers of `docker-compose.yml`: a broker that runs, health checks that fail when they should, a valid file."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from fc.stack.layout import DEPLOYED, ROOT
from servers.base import maven
from servers.kafka import ARTIFACTS, VERSION
from testkit import eventually, free_port
from tests.contract.compose import FILE, environment, resolved
from tests.contract.test_compose import SERVICE_PORTS


class _Answers(BaseHTTPRequestHandler):
    """Answers /ready with 200 and everything else with 503."""

    def log_message(self, *_args: object) -> None:
        """Suppress the access log."""

    def do_GET(self) -> None:
        body = b'{"status": "of this test"}'
        self.send_response(200 if self.path == "/ready" else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def answering() -> Iterator[int]:
    """The port of a server that answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def _check(command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    assert command[:2] == ["CMD", "python"]
    return subprocess.run(
        [sys.executable, *command[2:]],
        cwd=ROOT / "deploy/image",
        env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_health_check_of_a_service_is_its_readiness(answering: int) -> None:
    command = resolved()["services"]["orderfc"]["healthcheck"]["test"]
    assert _check(command, {"HTTP_PORT": str(answering)}).returncode == 0
    assert "ConnectionRefusedError" in _check(command, {"HTTP_PORT": str(free_port())}).stderr
    refused = _check([*command, str(answering), "/broken"], {})
    assert refused.returncode == 1
    assert refused.stderr.strip() == '503 {"status": "of this test"}'


@pytest.mark.parametrize("service", DEPLOYED)
def test_the_health_check_finds_the_port_of_the_service(service: str) -> None:
    command = resolved()["services"][service]["healthcheck"]["test"]
    code = "import healthy; print(healthy.service_port())"
    done = _check([*command[:2], "-c", code], {"CONFIG_FILE": str(ROOT / service / "files/config/config.yaml")})
    assert done.stdout.strip() == str(SERVICE_PORTS[service][0])
    assert command[2:] == ["-m", "healthy"]


def test_kafka_is_the_version_that_the_local_stack_runs() -> None:
    assert resolved()["services"]["kafka"]["image"] == f"apache/kafka:{VERSION}"


def _moved(folder: Path, outside: int) -> dict[str, str]:
    """Return Kafka's environment with the ports and the folder of this test, and the path to Java."""
    env = environment(resolved(), "kafka")
    inside, controller = free_port(), free_port()
    moved = {"29092": str(outside), ":9092": f":{inside}", "9093": str(controller), "/var/lib/kafka": str(folder)}
    for old, new in moved.items():
        env = {name: value.replace(old, new) for name, value in env.items()}
    return {**env, "PATH": os.environ["PATH"]}


def _properties(java: list[str], env: Mapping[str, str], folder: Path) -> Path:
    """Run the image's own entry: it turns the environment into server.properties and formats the log folder."""
    entry = [*java, "kafka.docker.KafkaDockerWrapper", "setup"]
    for option, name in (("-D", "default"), ("-M", "mounted"), ("-F", "final")):
        (folder / name).mkdir()
        entry += [option, str(folder / name)]
    for file in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
        (folder / "default" / file).write_text("", encoding="utf-8")
    done = subprocess.run(entry, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "final" / "server.properties"


async def test_kafka_runs_with_this_environment_and_makes_no_topic_by_chance(tmp_path: Path) -> None:
    libs = maven(f"kafka-{VERSION}", ARTIFACTS) / "libs"
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*"]
    port = free_port()
    env = _moved(tmp_path, port)
    command = [*java, "kafka.Kafka", str(_properties(java, env, tmp_path))]
    with (tmp_path / "log").open("wb") as log:
        broker = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=tmp_path)
    try:
        made_by_chance = await eventually(lambda: _broker_setting(port, "auto.create.topics.enable"), 60, 0.2)
    finally:
        broker.terminate()
        broker.wait(20)
    assert made_by_chance == "false"


async def _broker_setting(port: int, name: str) -> str | None:
    """Ask the broker for one of its settings; None while it does not answer."""
    admin = AIOKafkaAdminClient(bootstrap_servers=f"localhost:{port}", request_timeout_ms=2000)
    try:
        await admin.start()
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, "1", {name: ""})])
        [(*_, settings)] = answer.resources
        return {str(setting[0]): str(setting[1]) for setting in settings}[name]
    except (KafkaError, OSError):
        return None
    finally:
        await admin.close()


def test_docker_compose_accepts_the_file() -> None:
    if not shutil.which("docker"):
        pytest.skip("there is no docker client")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=30, check=False).returncode:
        pytest.skip("the docker client has no compose")
    command = ["docker", "compose", "--file", str(FILE), "--env-file", str(ROOT / ".env.example"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
