"""What `fc up --observe` adds to a stack: a log store, the collector that fills it, and Prometheus where it is there.

A file in the stack's folder says that they belong to it, until it is stopped. Another one says that the services send
their spans to the console: `fc up --traces`.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fc.stack.errors import StackError
from fc.stack.layout import ROOT, SERVICES, Layout
from servers.base import HOST, Missing, Server, cache
from servers.collector import Collector
from servers.prometheus import Prometheus
from servers.victorialogs import VictoriaLogs

RULES = ROOT / "deploy" / "observability" / "rules" / "*.rules.yml"
SCRAPE_S = 5
NAMES = ("victorialogs", "collector", "prometheus")


def _mark(layout: Layout, name: str = "observe") -> Path:
    return layout.home / "run" / name


def traced(layout: Layout) -> bool:
    """Whether the services send their spans to the console."""
    return _mark(layout, "traces").exists()


def trace(layout: Layout) -> None:
    """Have the services send their spans to the console."""
    mark = _mark(layout, "traces")
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def wanted(layout: Layout) -> bool:
    return _mark(layout).exists()


def want(layout: Layout) -> None:
    """Have the servers belong to the stack. Raises StackError when they have not been built."""
    try:
        for server in servers(layout):
            server.origin()
    except Missing as missing:
        raise StackError(str(missing)) from None
    _mark(layout).parent.mkdir(parents=True, exist_ok=True)
    _mark(layout).touch()


def forget(layout: Layout) -> None:
    for name in ("observe", "traces"):
        _mark(layout, name).unlink(missing_ok=True)


def servers(layout: Layout) -> list[Server]:
    """Return the servers in the order of starting."""
    data = layout.home / "data"
    store = VictoriaLogs(data / "victorialogs", layout.port("victorialogs"))
    collector = Collector(
        data / "collector",
        layout.port("collector"),
        metrics_port=layout.port("collector_metrics"),
        logs=f"{layout.home}/logs/*.log*",
        store=store.otlp,
    )
    return [store, collector, *([_scraper(layout)] if _has_prometheus() else [])]


def urls(layout: Layout) -> dict[str, str]:
    """Return the pages of the servers by what they show; none for a stack without them."""
    if not wanted(layout):
        return {}
    shown = {"logs": f"{layout.url('victorialogs')}/select/vmui/"}
    return shown | ({"metrics": layout.url("prometheus")} if _has_prometheus() else {})


def _has_prometheus() -> bool:
    """Whether it needs no download."""
    return bool(shutil.which("prometheus")) or (cache() / "prometheus-debian" / ".complete").exists()


@dataclass
class Scraper(Prometheus):
    """Scrapes the services of one stack, name -> port, and judges the rules of the alerts."""

    jobs: Mapping[str, int] = field(default_factory=dict)

    def prepare(self) -> None:
        super().prepare()
        content = {
            "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [f"{HOST}:{port}"]}]}
                for name, port in self.jobs.items()
            ],
        }
        # JSON is YAML.
        self.configuration.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _scraper(layout: Layout) -> Scraper:
    home = layout.home / "data" / "prometheus"
    jobs = {name: layout.port(name) for name in SERVICES} | {"collector": layout.port("collector_metrics")}
    return Scraper(home, layout.port("prometheus"), configuration=home / "prometheus.yml", jobs=jobs)
