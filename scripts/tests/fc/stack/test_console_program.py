"""The console among the programs of a stack."""

from fc.stack.layout import CONSOLE, SERVICES, Layout
from fc.stack.programs import Programs


def test_the_console_is_told_where_each_service_is_and_no_database(layout: Layout) -> None:
    told = Programs(layout, console=True).environment(CONSOLE)
    hosts = {name: told[name] for name in ("USER_HOST", "PRODUCT_HOST", "ORDER_HOST", "PAYMENT_HOST")}
    assert list(hosts.values()) == [f"http://localhost:{layout.port(name)}" for name in SERVICES]
    assert (told["HTTP_PORT"], told["KAFKA_BROKER"]) == ("29084", "localhost:30092")
    assert not [name for name in told if name.startswith(("DB_", "MONGO_", "XENDIT_"))]
