"""Kafka and outbox: what is sent and applied, what waits, what could not be applied."""

from observability.dashboards.grafana import Dashboard, Panel, Query
from observability.dashboards.queries import rate

_SENT = "messaging_client_sent_messages_total"
_CONSUMED = "messaging_client_consumed_messages_total"
_NOT_SENT = '{__name__=~"otelcol_exporter_send_failed_(spans|log_records)(_total)?"}'
_REFUSED = '{__name__=~"otelcol_receiver_refused_(spans|log_records)(_total)?"}'

DASHBOARD = Dashboard(
    "kafka",
    "Kafka and outbox",
    (
        Panel(
            "Outbox: events that wait",
            "short",
            (Query("max by (job) (gocommerce_outbox_pending)", "{{job}}"),),
            ("OutboxBacklog",),
        ),
        Panel(
            "Outbox: age of the oldest",
            "s",
            (Query("max by (job) (gocommerce_outbox_oldest_age_seconds)", "{{job}}"),),
            ("OutboxStuck",),
        ),
        Panel(
            "Outbox: parked events",
            "short",
            (Query("max by (job) (gocommerce_outbox_parked)", "{{job}}"),),
            ("EventsParked",),
        ),
        Panel(
            "Acknowledged by Kafka",
            "reqps",
            (Query(rate(_SENT, 'error_type=""', "messaging_destination_name"), "{{messaging_destination_name}}"),),
        ),
        Panel(
            "Not acknowledged",
            "reqps",
            (
                Query(
                    rate(_SENT, 'error_type!=""', "job, messaging_destination_name, error_type"),
                    "{{job}} {{messaging_destination_name}} {{error_type}}",
                ),
            ),
            ("SendsFailing",),
        ),
        Panel(
            "Applied",
            "reqps",
            (
                Query(
                    rate(_CONSUMED, 'error_type=""', "job, messaging_destination_name"),
                    "{{messaging_destination_name}} in {{job}}",
                ),
            ),
        ),
        Panel(
            "Lag",
            "short",
            (Query("sum by (job, topic) (gocommerce_consumer_lag_messages)", "{{topic}} in {{job}}"),),
            ("ConsumerLag",),
        ),
        Panel(
            "Lag beside progress",
            "short",
            (
                Query("sum by (job) (gocommerce_consumer_lag_messages)", "{{job}} waits"),
                Query(rate(_CONSUMED, "", "job"), "{{job}} a second"),
            ),
            ("ConsumerStuck",),
        ),
        Panel(
            "Copies of partitions that are away or behind",
            "short",
            (Query("max by (topic) (gocommerce_kafka_replicas_missing)", "{{topic}}"),),
            ("ReplicasMissing",),
        ),
        Panel(
            "Dead letters",
            "short",
            (Query("sum by (topic, reason) (gocommerce_dead_letters_total)", "{{topic}} {{reason}}"),),
            ("DeadLetter",),
        ),
        Panel(
            "Runs of messages",
            "reqps",
            (Query(rate("gocommerce_consumer_runs_total", "", "topic, outcome"), "{{topic}} {{outcome}}"),),
        ),
        Panel(
            "Collector: lost",
            "short",
            (
                Query(f"sum by (exporter) (rate({_NOT_SENT}[$__rate_interval]))", "not sent by {{exporter}}"),
                Query(f"sum by (receiver) (rate({_REFUSED}[$__rate_interval]))", "refused by {{receiver}}"),
            ),
            ("CollectorDropping",),
        ),
        Panel(
            "Collector: part of the queue that is taken",
            "percentunit",
            (
                Query(
                    "max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)", "{{exporter}}"
                ),
            ),
            ("CollectorWaiting",),
        ),
        Panel(
            "Audit: violations",
            "short",
            (Query("max by (rule) (gocommerce_audit_violations)", "{{rule}}"),),
            ("AuditViolation",),
        ),
        Panel(
            "Audit: age of the last run",
            "s",
            (Query("time() - max(gocommerce_audit_last_run_timestamp_seconds)", "age"),),
            ("AuditMissing",),
        ),
    ),
)
