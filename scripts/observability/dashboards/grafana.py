"""Turns lists of panels into Grafana's JSON, with Grafana's own library for it."""

import json
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, prometheus, timeseries
from grafana_foundation_sdk.builders.dashboard import CustomVariable, DashboardLink
from grafana_foundation_sdk.builders.dashboard import Dashboard as DashboardBuilder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, TooltipDisplayMode, VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    VariableOption,
)

# The uid of the data source that is provisioned.
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
TAG = "go-commerce"
_WIDTH, _HEIGHT = 8, 8


@dataclass(frozen=True)
class Query:
    """One expression; `legend` may name labels as {{label}}. `exemplars` shows the traces of a histogram."""

    expr: str
    legend: str
    exemplars: bool = False


@dataclass(frozen=True)
class Panel:
    """One diagram. It names the alerts whose figures it shows."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dashboard:
    """One page of panels; `jobs` are the services to choose from, as $job."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    jobs: tuple[str, ...] = ()


def as_json(one: Dashboard) -> str:
    """Return the file that Grafana is provisioned with."""
    made = DashboardBuilder(one.title).uid(one.uid).tags([TAG]).readonly().refresh("15s").time("now-1h", "now")
    made.timezone("utc").tooltip(DashboardCursorSync.CROSSHAIR)
    made.link(DashboardLink("Go Commerce").type(DashboardLinkType.DASHBOARDS).tags([TAG]).keep_time(True))
    if one.jobs:
        made.with_variable(_jobs(one.jobs))
    for panel in one.panels:
        made.with_panel(_panel(panel))
    document = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    # Without a number of its own a panel can't be linked to.
    for number, panel in enumerate(document["panels"], 1):
        panel["id"] = number
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _jobs(jobs: tuple[str, ...]) -> CustomVariable:
    options = [VariableOption(text=job, value=job, selected=job == jobs[0]) for job in jobs]
    return CustomVariable("job").label("service").values(",".join(jobs)).options(options).current(options[0])


def _panel(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().title(panel.title).unit(panel.unit).datasource(PROMETHEUS).min(0)
    made.span(_WIDTH).height(_HEIGHT).fill_opacity(5).show_points(VisibilityMode.NEVER)
    made.legend(
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    made.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    if panel.alerts:
        made.description(f"Alerts: {', '.join(panel.alerts)}")
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        made.with_target(
            prometheus.Dataquery()
            .ref_id(letter)
            .datasource(PROMETHEUS)
            .range()
            .expr(query.expr)
            .legend_format(query.legend)
            .exemplar(query.exemplars)
        )
    return made
