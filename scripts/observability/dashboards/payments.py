"""Payments and money: how payments end, what Xendit answers, what a person has to look at."""

from observability.dashboards.grafana import Dashboard, Panel, Query
from observability.dashboards.queries import quantile, rate, share

_CLIENT = "http_client_request_duration_seconds"
_XENDIT = 'job="paymentfc"'
_FAILED = 'job="paymentfc",error_type!=""'
_CALLBACKS = 'job="paymentfc",http_route="/v1/payments/xendit/webhook"'
_SERVER = "http_server_request_duration_seconds"

DASHBOARD = Dashboard(
    "payments",
    "Payments and money",
    (
        Panel(
            "Payments by end",
            "reqps",
            (Query(rate("gocommerce_payment_transitions_total", "", "status, reason"), "{{status}} {{reason}}"),),
            ("InvoiceGiveUp",),
        ),
        Panel(
            "Anomalies",
            "short",
            (Query("sum by (kind) (gocommerce_payment_anomalies_total)", "{{kind}}"),),
            ("Anomaly",),
        ),
        Panel(
            "Open anomalies",
            "short",
            (Query("max by (kind) (gocommerce_payment_anomalies_open)", "{{kind}}"),),
            ("RefundDue",),
        ),
        Panel(
            "Refunds that wait for a person",
            "short",
            (Query("max by (status) (gocommerce_payment_refunds_open)", "{{status}}"),),
            ("RefundByHand",),
        ),
        Panel(
            "Callbacks of Xendit",
            "reqps",
            (
                Query(
                    rate(f"{_SERVER}_count", _CALLBACKS, "http_response_status_code"), "{{http_response_status_code}}"
                ),
            ),
        ),
        Panel("Duration of callbacks (p95)", "s", (Query(quantile(0.95, _SERVER, _CALLBACKS), "p95", exemplars=True),)),
        Panel(
            "Calls of Xendit",
            "reqps",
            (
                Query(
                    rate(f"{_CLIENT}_count", _XENDIT, "http_request_method, url_template, http_response_status_code"),
                    "{{http_request_method}} {{url_template}} {{http_response_status_code}}",
                ),
            ),
        ),
        Panel(
            "Calls of Xendit that fail",
            "percentunit",
            (Query(share(f"{_CLIENT}_count", _FAILED, _XENDIT), "failed"),),
            ("XenditFailing",),
        ),
        Panel(
            "Duration of calls (p95)",
            "s",
            (
                Query(
                    quantile(0.95, _CLIENT, _XENDIT, "http_request_method, url_template"),
                    "{{http_request_method}} {{url_template}}",
                ),
            ),
        ),
        Panel(
            "Audit log",
            "reqps",
            (Query(rate("gocommerce_loop_runs_total", 'loop="audit delivery"', "outcome"), "{{outcome}}"),),
            ("MongoBacklog",),
        ),
    ),
)
