"""The list of all metrics, docs/telemetry.yaml, made from the services' registries (development only)."""
