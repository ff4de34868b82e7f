"""Alerts, objectives and dashboards in deploy/observability, as far as they are generated."""
