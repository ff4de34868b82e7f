"""What the registries do not say of a metric: convention, unit, values of its labels, who shows it and who can't."""

from collections.abc import Mapping, Sequence

from opentelemetry.semconv._incubating.metrics import db_metrics, messaging_metrics, rpc_metrics
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.semconv.schemas import Schemas

from chassis.http import refusal
from chassis.http.middleware import METHODS
from contracts.topics import PRODUCERS
from fc.stack.layout import SERVICES
from orderfc.model import Cause
from orderfc.model import Status as OrderStatus
from paymentfc.client.xendit import CALLS as XENDIT_CALLS
from paymentfc.model.callback import AnomalyKind
from paymentfc.model.payment import Reason, Status
from paymentfc.model.refund import SETTLEABLE

# The version of the conventions, which is that of the installed OpenTelemetry.
CONVENTIONS_VERSION = list(Schemas)[-1].value.rpartition("/")[2]
STABLE, DEVELOPMENT = "stable", "development"
CONVENTIONS: Mapping[str, tuple[str, str]] = {
    "http_server_request_duration_seconds": (http_metrics.HTTP_SERVER_REQUEST_DURATION, STABLE),
    "http_client_request_duration_seconds": (http_metrics.HTTP_CLIENT_REQUEST_DURATION, STABLE),
    "rpc_server_call_duration_seconds": (rpc_metrics.RPC_SERVER_CALL_DURATION, DEVELOPMENT),
    "rpc_client_call_duration_seconds": (rpc_metrics.RPC_CLIENT_CALL_DURATION, DEVELOPMENT),
    "messaging_client_consumed_messages_total": (messaging_metrics.MESSAGING_CLIENT_CONSUMED_MESSAGES, DEVELOPMENT),
    "messaging_client_sent_messages_total": (messaging_metrics.MESSAGING_CLIENT_SENT_MESSAGES, DEVELOPMENT),
    "messaging_process_duration_seconds": (messaging_metrics.MESSAGING_PROCESS_DURATION, DEVELOPMENT),
    "db_client_connection_count": (db_metrics.DB_CLIENT_CONNECTION_COUNT, DEVELOPMENT),
    "db_client_connection_wait_time_seconds": (db_metrics.DB_CLIENT_CONNECTION_WAIT_TIME, DEVELOPMENT),
    "db_client_connection_timeouts_total": (db_metrics.DB_CLIENT_CONNECTION_TIMEOUTS, DEVELOPMENT),
}
# By the end of the name; other metrics count.
UNITS = {"_seconds": "s", "_bytes": "By", "_seconds_total": "s"}

_CONSUMERS = [service for service in SERVICES if service != "userfc"]
_TOPICS = sorted(PRODUCERS)
_ERROR = "the class of the error"
# Values of labels, or where they come from. A name with a dot is a label of one metric, and stands before the others.
LABELS: Mapping[str, Sequence[str] | str] = {
    "http_request_method": [*sorted(METHODS), "_OTHER"],
    "http_server_request_duration_seconds.error_type": "none below 500, else the status",
    "http_route": "the template of one of the service's routes, or unmatched",
    "http_response_status_code": "the status; none without an answer",
    "error_type": f"none without an error; {_ERROR}, or the status that is one",
    "messaging_client_consumed_messages_total.error_type": "none when applied, else the reason of the dead letter",
    "messaging_process_duration_seconds.error_type": f"none when applied, else {_ERROR} or its reason",
    "server_address": "the host in PRODUCT_HOST or XENDIT_BASE_URL",
    "url_template": ["/v1/products", *sorted({template for _, template in XENDIT_CALLS.values()})],
    "rpc_method": ["user.UserService/GetUserInfoByUserId", "user.UserService/ValidateToken"],
    "rpc_response_status_code": "the name of a status of gRPC",
    "messaging_destination_name": _TOPICS,
    "messaging_client_sent_messages_total.messaging_destination_name": [
        *_TOPICS,
        *(f"{topic}.dlq" for topic in _TOPICS),
    ],
    "messaging_consumer_group_name": _CONSUMERS,
    "db_client_connection_pool_name": "DB_NAME of the service",
    "state": ["idle", "used"],
    "topic": _TOPICS,
    "consumer": _CONSUMERS,
    "partition": "the number of the partition, below KAFKA_PARTITIONS",
    "gocommerce_dead_letters_total.reason": [
        *("handler_failed", "invalid_json", "invalid_payload", "message_too_large", "not_yet", "null_value"),
        *("status_mismatch", "unreadable_record", "unsupported_currency"),
    ],
    "gocommerce_http_refused_total.reason": sorted(
        {one.reason for one in vars(refusal).values() if isinstance(one, refusal.Refusal)}
        | {"connection_evicted", "overloaded", "slow_reader"}
    ),
    "gocommerce_payment_transitions_total.reason": ["", *(reason.value for reason in Reason)],
    "gocommerce_payment_refunds_open.status": [status.value for status in SETTLEABLE],
    "status": [status.value for status in Status if status is not Status.PENDING],
    "kind": [kind.value for kind in AnomalyKind],
    "to": [status.wire for status in OrderStatus],
    "cause": ["checkout", *(cause.value for cause in Cause)],
    "from": ["cache", "database", "filled", "shared"],
    "gocommerce_logins_total.outcome": ["failed", "succeeded"],
    "gocommerce_loop_runs_total.outcome": ["done", "outage"],
    "gocommerce_consumer_runs_total.outcome": ["applied", "split"],
    "gocommerce_stock_takes_total.outcome": ["rejected", "taken", "unchanged"],
    "gocommerce_stock_returns_total.outcome": ["released", "tombstone", "unchanged"],
    "role": ["admin", "unknown", "user"],
    "loop": "the name of a background loop of the service",
    "limit": "the name of a rate limit of the service",
    "version": "the version of the project",
    "python_info.version": "of Python",
    "rule": "a rule of fc audit that looks for violations",
    "generation": ["0", "1", "2"],
    "implementation": "of Python",
    "major": "of Python",
    "minor": "of Python",
    "patchlevel": "of Python",
}

# The services of a metric that is registered in more of them than have what it is about.
SHOWN_BY: Mapping[str, Sequence[str]] = {
    "http_client_request_duration_seconds": ["orderfc", "paymentfc"],
    "rpc_server_call_duration_seconds": ["userfc"],
    "rpc_client_call_duration_seconds": _CONSUMERS,
    "messaging_client_consumed_messages_total": _CONSUMERS,
    "messaging_process_duration_seconds": _CONSUMERS,
    "messaging_client_sent_messages_total": _CONSUMERS,
    "gocommerce_outbox_publish_delay_seconds": _CONSUMERS,
    "gocommerce_event_delay_seconds": _CONSUMERS,
    "gocommerce_consumer_lag_messages": _CONSUMERS,
    "gocommerce_consumer_retrying": _CONSUMERS,
    "gocommerce_kafka_replicas_missing": _CONSUMERS,
    "gocommerce_consumer_runs_total": _CONSUMERS,
    "gocommerce_dead_letters_total": _CONSUMERS,
    "gocommerce_rate_limit_skipped_total": ["userfc", "orderfc"],
}
# What the console registers, because it imports the modules, and never shows: it has no database and consumes nothing.
NOT_OF_CONSOLE = frozenset(
    {
        *("http_client_request_duration_seconds", "rpc_server_call_duration_seconds"),
        *("messaging_client_consumed_messages_total", "messaging_client_sent_messages_total"),
        *("messaging_process_duration_seconds", "gocommerce_consumer_runs_total", "gocommerce_dead_letters_total"),
        *("gocommerce_consumer_lag_messages", "gocommerce_consumer_retrying", "gocommerce_event_delay_seconds"),
        *("gocommerce_kafka_replicas_missing", "gocommerce_outbox_publish_delay_seconds"),
        *("db_client_connection_count", "db_client_connection_timeouts_total"),
        "db_client_connection_wait_time_seconds",
    }
)
# Why a service that has the metric does not show it in tests/telemetry/test_metrics.py.
UNSEEN: Mapping[str, str] = {
    "gocommerce_http_refused_total": "nothing is refused",
    "gocommerce_outbox_publish_delay_seconds": "productfc publishes only when it rejects an order",
    "gocommerce_consumer_runs_total": "a run needs messages that wait",
    "gocommerce_rate_limit_skipped_total": "only without Redis",
    "rpc_client_call_duration_seconds": "orderfc and productfc ask userfc about tokens only without Redis",
}
