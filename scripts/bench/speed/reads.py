"""The reads: /ping and a cached product, the search, and log-in beside /ping."""

import json
from collections.abc import Callable, Sequence

from bench.speed import floors
from bench.speed.figures import Sample, per_unit_us
from bench.speed.load import Answers, http_request, running, wrk
from bench.speed.pace import Pace
from bench.speed.rows import Group, Row
from bench.speed.seed import POPULAR, PRODUCTS, RARE
from bench.speed.side import Side
from productfc.repository.search import Search, statement_of_all, statement_of_walk

CONNECTIONS, FEW = 32, 8
PROBE_PAUSE_MS = 10
SEARCHED = {
    "search-20": Search("421"),
    "search-1": Search(RARE.split()[0].lower()),
    "search-10000": Search("kopi", order_by="price", sort="desc"),
}
# The search whose matches the service has counted before: it reads at most so many products in their order.
WALKED = {"search-10000": PRODUCTS // 2}
ACCOUNT = {"email": "login@example.com", "password": "correct horse 7 battery"}

PING = [http_request("GET", "/ping")]
ONE = [http_request("GET", "/v1/products/1")]
LOGINS = [http_request("POST", "/v1/login", body=json.dumps(ACCOUNT).encode())]
MANY = [http_request("GET", f"/v1/products/{product}") for product in range(1, POPULAR + 1)]


def loaded(side: Side, work: Callable[[], Answers]) -> Sample:
    """Run a load and return its rate, its times, and the CPU of each process per answer."""
    before = side.cpu_s()
    answers = work()
    return Sample(answers.figures(), per_unit_us(before, side.cpu_s(), answers.good))


def _read(requests: Sequence[bytes]) -> Callable[[Side, Pace], Sample]:
    def measure(side: Side, pace: Pace) -> Sample:
        return loaded(side, lambda: wrk(side.port("productfc"), requests, CONNECTIONS, seconds=pace.load_s))

    return measure


def _search(name: str) -> Callable[[Side, Pace], Sample]:
    query = SEARCHED[name]
    path = f"/v1/products/search?name={query.name}&order_by={query.order_by}&sort={query.sort}"
    requests = [http_request("GET", path)]

    def measure(side: Side, pace: Pace) -> Sample:
        return loaded(side, lambda: wrk(side.port("productfc"), requests, FEW, seconds=pace.search_s))

    return measure


def search_floor(name: str) -> Callable[[Side, Pace], float]:
    """Measure the statement of a search without the service."""

    def measure(side: Side, pace: Pace) -> float:
        script = side.home / f"{name}.sql"
        query = SEARCHED[name]
        statement, values = statement_of_walk(query, WALKED[name]) if name in WALKED else statement_of_all(query)
        script.write_text(written_out(statement, values), encoding="utf-8")
        return floors.pgbench(side.postgres(), "productfc", script, pace.search_s / 2)

    return measure


def written_out(statement: str, values: Sequence[object]) -> str:
    """Return a statement with its values in it."""
    for place, value in reversed(list(enumerate(values, start=1))):
        text = "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
        statement = statement.replace(f"${place}", text)
    return f"{statement};\n"


def _warm(side: Side, pace: Pace) -> None:
    side.run_all()
    wrk(side.port("productfc"), MANY, CONNECTIONS, seconds=pace.warm_s)


def _warm_two(side: Side, pace: Pace) -> None:
    side.run({"HTTP_PROCESSES": "2"}, productfc="serve")
    wrk(side.port("productfc"), MANY, CONNECTIONS, seconds=pace.warm_s)


def _register(side: Side, pace: Pace) -> None:
    side.run_all()
    body = {"name": "Ani", "confirm_password": ACCOUNT["password"], **ACCOUNT}
    side.post(side.port("userfc"), "/v1/register", body)
    wrk(side.port("userfc"), LOGINS, FEW, seconds=pace.warm_s)


def log_in(side: Side, pace: Pace) -> Sample:
    """Log in over eight connections, while one asks for /ping a hundred times a second."""
    port = side.port("userfc")
    with running(port, PING, 1, seconds=pace.login_s, pause_ms=PROBE_PAUSE_MS) as probe:
        sample = loaded(side, lambda: wrk(port, LOGINS, FEW, seconds=pace.login_s))
        pings = probe.answers()
    return Sample({**sample.figures, "ping_p50_ms": pings.p50_ms, "ping_p99_ms": pings.p99_ms}, sample.cpu_us)


READS = Group(
    rows=[
        Row("ping", _read(PING), "productfc", "raw"),
        Row("read-one", _read(ONE), "productfc", "raw"),
        Row("read-200", _read(MANY), "productfc", "raw"),
    ],
    prepare=_warm,
    floors={"raw": lambda side, pace: floors.raw(side, pace.load_s, CONNECTIONS)},
)
READS_OF_TWO = Group(
    rows=[Row("read-200-two", _read(MANY), "productfc", "raw")], prepare=_warm_two, floors=READS.floors
)
SEARCHES = Group(
    rows=[Row(name, _search(name), "productfc", f"{name} in SQL") for name in SEARCHED],
    prepare=_warm,
    floors={f"{name} in SQL": search_floor(name) for name in SEARCHED},
)
LOGIN = Group(
    rows=[Row("login", log_in, "userfc", "argon2")],
    prepare=_register,
    floors={"argon2": lambda _side, pace: floors.argon2(pace.login_s)},
)
