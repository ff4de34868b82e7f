"""The metrics that the pages of the console show, out of docs/telemetry.yaml."""

REQUESTS = "http_server_request_duration_seconds"
CALLS = "http_client_request_duration_seconds"
RPC = "rpc_client_call_duration_seconds"
SENT = "messaging_client_sent_messages_total"
CONSUMED = "messaging_client_consumed_messages_total"
LETTERS = "gocommerce_dead_letters_total"
DELAY = "gocommerce_event_delay_seconds"
PUBLISH = "gocommerce_outbox_publish_delay_seconds"
PENDING, PARKED = "gocommerce_outbox_pending", "gocommerce_outbox_parked"
OLDEST = "gocommerce_outbox_oldest_age_seconds"
LAG, RETRYING = "gocommerce_consumer_lag_messages", "gocommerce_consumer_retrying"
ORDERS = "gocommerce_order_transitions_total"
ANOMALIES = "gocommerce_payment_anomalies_open"
REFUNDS = "gocommerce_payment_refunds_open"
LOOP = "gocommerce_event_loop_lag_seconds"
POOL = "db_client_connection_count"
BUILD = "gocommerce_build_info"
CPU, MEMORY = "process_cpu_seconds_total", "process_resident_memory_bytes"

NO_PROBES = "!/metrics|/ready|/health|/ping"
"""Routes that people and services call: the console and Prometheus poll the others."""

_HISTOGRAMS = (REQUESTS, CALLS, RPC, DELAY, PUBLISH, LOOP)
NAMES = frozenset(
    {
        BUILD,
        SENT,
        CONSUMED,
        LETTERS,
        PENDING,
        PARKED,
        OLDEST,
        LAG,
        RETRYING,
        ORDERS,
        ANOMALIES,
        REFUNDS,
        POOL,
        CPU,
        MEMORY,
    }
    | {f"{name}_{part}" for name in _HISTOGRAMS for part in ("bucket", "count")}
)
"""Only these are kept."""
