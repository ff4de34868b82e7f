"""The five dashboards of Grafana, as lists of panels; deploy/observability/grafana/dashboards has the JSON."""

from pathlib import Path

from observability.dashboards import kafka, payments, saga, service, slo
from observability.dashboards.grafana import Dashboard, as_json

FOLDER = Path("deploy/observability/grafana/dashboards")
DASHBOARDS: tuple[Dashboard, ...] = (
    service.DASHBOARD,
    saga.DASHBOARD,
    kafka.DASHBOARD,
    payments.DASHBOARD,
    slo.DASHBOARD,
)


def files() -> dict[Path, str]:
    """Return the JSON of each dashboard by its path in the checkout."""
    return {FOLDER / f"{one.uid}.json": as_json(one) for one in DASHBOARDS}
