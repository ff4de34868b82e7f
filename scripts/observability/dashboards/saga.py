"""Saga: what becomes of orders, how long it takes, and on which hop the time goes."""

from observability.dashboards.grafana import Dashboard, Panel, Query
from observability.dashboards.queries import quantile, rate

_DURATION = "gocommerce_order_duration_seconds"
_DELAY = "gocommerce_event_delay_seconds"

DASHBOARD = Dashboard(
    "saga",
    "Saga",
    (
        Panel(
            "Orders by end",
            "reqps",
            (Query(rate("gocommerce_order_transitions_total", "", "to, cause"), "{{to}} by {{cause}}"),),
        ),
        Panel(
            "From checkout to the end",
            "s",
            (
                Query(quantile(0.5, _DURATION, "", "to"), "{{to}} p50"),
                Query(quantile(0.95, _DURATION, "", "to"), "{{to}} p95"),
            ),
        ),
        Panel(
            "Orders",
            "reqps",
            (
                Query(
                    rate(
                        "http_server_request_duration_seconds_count",
                        'job="orderfc",http_route="/v1/orders/checkout"',
                        "http_response_status_code",
                    ),
                    "checkout {{http_response_status_code}}",
                ),
            ),
        ),
        Panel(
            "Hops: commit to effect (p95)",
            "s",
            (Query(quantile(0.95, _DELAY, "", "topic, consumer"), "{{topic}} in {{consumer}}"),),
            ("SagaSlow",),
        ),
        Panel(
            "Hops: commit to Kafka (p95)",
            "s",
            (Query(quantile(0.95, "gocommerce_outbox_publish_delay_seconds", "", "topic"), "{{topic}}"),),
        ),
        Panel(
            "Hops: one try to apply (p95)",
            "s",
            (
                Query(
                    quantile(
                        0.95,
                        "messaging_process_duration_seconds",
                        "",
                        "messaging_destination_name, messaging_consumer_group_name",
                    ),
                    "{{messaging_destination_name}} in {{messaging_consumer_group_name}}",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            "Stock",
            "reqps",
            (
                Query(rate("gocommerce_stock_takes_total", "", "outcome"), "taken: {{outcome}}"),
                Query(rate("gocommerce_stock_returns_total", "", "outcome"), "given back: {{outcome}}"),
            ),
        ),
        Panel(
            "Messages that wait for another try",
            "short",
            (Query("sum by (job, topic) (gocommerce_consumer_retrying)", "{{topic}} in {{job}}"),),
            ("ConsumerRetrying",),
        ),
        Panel(
            "Events that wait for Kafka",
            "s",
            (Query("max by (job) (gocommerce_outbox_oldest_age_seconds)", "oldest of {{job}}"),),
        ),
    ),
)
