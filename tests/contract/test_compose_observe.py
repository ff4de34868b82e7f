"""The profile `observe`: its files are valid, and name what `docker-compose.yml` and the dashboards have."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from fc.stack.layout import DEPLOYED, ROOT, SERVICES
from servers.prometheus import program
from tests.contract.compose import environment, resolved, settings

FOLDER = ROOT / "deploy/observability"
SOURCES = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/datasources.yaml").read_text())["datasources"]
# Of each server the port inside its container.
PORTS = {"prometheus": 9090, "loki": 3100, "jaeger": 16686}


def scraped(path: Path = FOLDER / "prometheus/prometheus.yml") -> dict[str, list[str]]:
    """Return the targets of each job."""
    jobs = yaml.safe_load(path.read_text())["scrape_configs"]
    return {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}


def mounts(name: str) -> dict[str, str]:
    """Return where each file or volume of a container comes from, by its path in there."""
    volumes = resolved()["services"][name]["volumes"]
    return {volume.split(":")[1]: volume.split(":")[0] for volume in volumes}


def test_promtool_accepts_the_configuration_with_the_rules(tmp_path: Path) -> None:
    text = (FOLDER / "prometheus/prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus-rules", str(FOLDER / "rules")))
    command = [str(program("promtool")), "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(list((FOLDER / 'rules').glob('*.rules.yml')))} rule files found" in done.stdout


@pytest.mark.parametrize("service", DEPLOYED)
def test_prometheus_asks_each_service_by_its_name(service: str) -> None:
    assert scraped()[service] == [f"{service}:{settings(resolved(), service).http_port}"]


def test_prometheus_asks_the_collector_where_it_answers() -> None:
    assert scraped().keys() == {*DEPLOYED, "collector"}
    assert scraped()["collector"] == ["collector:8888"]
    assert "COLLECTOR_METRICS_PORT:-8888" in (FOLDER / "collector/logs.yaml").read_text()
    assert environment(resolved(), "collector")["COLLECTOR_HOST"] == "0.0.0.0"


def test_the_rules_are_where_prometheus_looks_for_them() -> None:
    [pattern] = yaml.safe_load((FOLDER / "prometheus/prometheus.yml").read_text())["rule_files"]
    assert mounts("prometheus")[str(Path(pattern).parent)] == "./deploy/observability/rules"


@pytest.mark.parametrize("name", ["collector", "prometheus", "loki", "grafana"])
def test_what_is_mounted_is_there(name: str) -> None:
    files = [source for source in mounts(name).values() if source.startswith("./")]
    assert files
    assert all((ROOT / source).is_dir() for source in files)
    for place in re.findall(r"(?:file|config)=(\S+)", " ".join(resolved()["services"][name].get("command", []))):
        assert (ROOT / mounts(name)[str(Path(place).parent)] / Path(place).name).is_file(), place


def test_the_collector_is_given_every_name_that_its_files_ask_for() -> None:
    text = "".join(path.read_text() for path in sorted((FOLDER / "collector").glob("*.yaml")))
    asked = set(re.findall(r"\$\{env:([A-Z_]+)\}", text))
    assert {"LOGS_ENDPOINT", "TRACES_ENDPOINT"} <= asked
    assert asked <= environment(resolved(), "collector").keys()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_sends_its_spans_to_jaeger_or_to_the_collector_of_the_profile(service: str) -> None:
    assert settings(resolved(), service).otel_exporter_otlp_endpoint == "http://jaeger:4318"
    sent = settings(resolved({"OTLP_HOST": "collector"}), service).otel_exporter_otlp_endpoint
    assert sent == "http://collector:4318"
    assert "COLLECTOR_OTLP_PORT:-4318" in (FOLDER / "collector/traces.yaml").read_text()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source["uid"])
def test_grafana_finds_each_data_source(source: dict[str, Any]) -> None:
    address = urlsplit(source["url"])
    assert address.hostname in resolved()["services"]
    assert address.port == PORTS[source["uid"]]


def test_links_lead_from_metric_to_trace_to_log_and_back() -> None:
    by_uid = {source["uid"]: source["jsonData"] for source in SOURCES}
    [exemplar] = by_uid["prometheus"]["exemplarTraceIdDestinations"]
    [field] = by_uid["loki"]["derivedFields"]
    # The name of the exemplar's label, and of the field of a log line.
    assert exemplar == {"name": "trace_id", "datasourceUid": "jaeger"}
    assert (field["matcherType"], field["matcherRegex"], field["datasourceUid"]) == ("label", "trace_id", "jaeger")
    logs = by_uid["jaeger"]["tracesToLogsV2"]
    assert logs["datasourceUid"] == "loki"
    # A single $ would be taken for a variable of Grafana's own environment.
    assert "$${__trace.traceId}" in logs["query"]
    assert field["url"] == "$${__value.raw}"
    assert "service.namespace" in (FOLDER / "collector/logs.yaml").read_text()


def test_the_dashboards_are_where_grafana_looks_and_ask_the_data_source_that_it_has() -> None:
    provider = yaml.safe_load((FOLDER / "grafana/provisioning/dashboards/dashboards.yaml").read_text())
    [path] = [one["options"]["path"] for one in provider["providers"]]
    files = sorted((ROOT / mounts("grafana")[path]).glob("*.json"))
    assert len(files) == 5
    used = {panel["datasource"]["uid"] for file in files for panel in json.loads(file.read_text())["panels"]}
    assert used == {"prometheus"} <= {source["uid"] for source in SOURCES}


def test_loki_keeps_logs_for_a_bounded_time_in_its_volume() -> None:
    loki = yaml.safe_load((FOLDER / "loki/loki.yaml").read_text())
    assert loki["server"]["http_listen_port"] == PORTS["loki"]
    assert loki["compactor"]["retention_enabled"] is True
    assert loki["limits_config"]["allow_structured_metadata"] is True
    assert loki["common"]["path_prefix"] in mounts("loki")
    assert urlsplit(environment(resolved(), "collector")["LOGS_ENDPOINT"]).port == PORTS["loki"]
