"""Service: requests, errors, durations; connections, loops and what the process uses."""

from fc.stack.layout import SERVICES
from observability.dashboards.grafana import Dashboard, Panel, Query
from observability.dashboards.queries import quantile, quantiles, rate, share

_JOB = 'job="$job"'
_WORK = f'{_JOB},http_route!~"/ready|/health|/metrics"'
_SERVER = "http_server_request_duration_seconds"
_CLIENT = "http_client_request_duration_seconds"
_FAILED = f'{_WORK},http_response_status_code=~"5.."'

_REQUESTS = (
    Panel(
        "Requests",
        "reqps",
        (
            Query(
                rate(f"{_SERVER}_count", _WORK, "http_request_method, http_route"),
                "{{http_request_method}} {{http_route}}",
            ),
        ),
    ),
    Panel(
        "Answers with 5xx",
        "percentunit",
        (Query(share(f"{_SERVER}_count", _FAILED, _WORK), "5xx"),),
        ("ServerErrors",),
    ),
    Panel("Duration", "s", quantiles(_SERVER, _WORK, exemplars=True)),
    Panel("Duration by route (p95)", "s", (Query(quantile(0.95, _SERVER, _WORK, "http_route"), "{{http_route}}"),)),
    Panel(
        "Answers by status",
        "reqps",
        (Query(rate(f"{_SERVER}_count", _WORK, "http_response_status_code"), "{{http_response_status_code}}"),),
    ),
    Panel(
        "Refused", "reqps", (Query(rate("gocommerce_http_refused_total", _JOB, "reason"), "{{reason}}"),), ("Overload",)
    ),
)
_NEIGHBOURS = (
    Panel(
        "Calls of other servers",
        "reqps",
        (
            Query(
                rate(f"{_CLIENT}_count", _JOB, "server_address, url_template, error_type"),
                "{{server_address}}{{url_template}} {{error_type}}",
            ),
        ),
        ("CheckoutRefused",),
    ),
    Panel(
        "Calls of other servers (p95)", "s", (Query(quantile(0.95, _CLIENT, _JOB, "url_template"), "{{url_template}}"),)
    ),
    Panel(
        "gRPC (p95)",
        "s",
        (
            Query(quantile(0.95, "rpc_server_call_duration_seconds", _JOB, "rpc_method"), "answered {{rpc_method}}"),
            Query(quantile(0.95, "rpc_client_call_duration_seconds", _JOB, "rpc_method"), "asked {{rpc_method}}"),
        ),
    ),
    Panel(
        "Database connections",
        "short",
        (Query(f"sum by (state) (db_client_connection_count{{{_JOB}}})", "{{state}}"),),
    ),
    Panel(
        "Wait for a connection",
        "s",
        quantiles("db_client_connection_wait_time_seconds", _JOB),
        ("PoolWait",),
    ),
    Panel(
        "No connection in time",
        "reqps",
        (Query(rate("db_client_connection_timeouts_total", _JOB), "timeouts"),),
    ),
    Panel(
        "Redis",
        "reqps",
        (
            Query(rate("gocommerce_redis_outages_total", _JOB), "outages"),
            Query(rate("gocommerce_rate_limit_skipped_total", _JOB, "limit"), "limit {{limit}} counted here only"),
        ),
        ("RedisDown", "RateLimitOff"),
    ),
    Panel(
        "Loops",
        "reqps",
        (Query(rate("gocommerce_loop_runs_total", _JOB, "loop, outcome"), "{{loop}} {{outcome}}"),),
        ("LoopOutage",),
    ),
)
_PROCESS = (
    Panel(
        "There and ready",
        "short",
        (
            Query(f"sum (up{{{_JOB}}})", "replicas"),
            Query(
                rate(f"{_SERVER}_count", f'{_JOB},http_route="/ready"', "http_response_status_code"),
                "/ready {{http_response_status_code}} a second",
            ),
        ),
        ("TargetAbsent", "NotReady"),
    ),
    Panel(
        "Processor",
        "percentunit",
        (Query(f"rate(process_cpu_seconds_total{{{_JOB}}}[$__rate_interval])", "{{instance}}"),),
    ),
    Panel("Memory", "bytes", (Query(f"process_resident_memory_bytes{{{_JOB}}}", "{{instance}}"),)),
    Panel("Event loop: how late", "s", quantiles("gocommerce_event_loop_lag_seconds", _JOB)),
    Panel(
        "Older secrets than Vault's",
        "short",
        (Query(f"max by (instance) (gocommerce_vault_secrets_outdated{{{_JOB}}})", "{{instance}}"),),
        ("SecretsOutdated",),
    ),
    Panel(
        "Log-ins",
        "reqps",
        (
            Query(rate("gocommerce_logins_total", "", "outcome, role"), "{{outcome}} {{role}}"),
            Query(rate("gocommerce_password_work_refused_total"), "refused, too many"),
        ),
        ("PasswordQueueFull", "GuessedPasswords", "GuessedAdminPassword"),
    ),
    Panel(
        "Products read from",
        "reqps",
        (Query(rate("gocommerce_product_cache_reads_total", "", "from"), "{{from}}"),),
    ),
)

DASHBOARD = Dashboard("service", "Service", _REQUESTS + _NEIGHBOURS + _PROCESS, SERVICES)
