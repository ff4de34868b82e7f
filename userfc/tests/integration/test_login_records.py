"""Failed log-ins and those of administrators are on record, without the address or the password that was typed."""

from ipaddress import ip_network

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from userfc.config import Settings

from .conftest import PASSWORD, Userfc, new_email, opened


def count(outcome: str, role: str) -> float:
    return REGISTRY.get_sample_value("gocommerce_logins_total", {"outcome": outcome, "role": role}) or 0


async def test_a_failed_log_in_names_the_account_by_a_keyed_hash_and_the_clients_address(settings: Settings) -> None:
    trusted = settings.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"), ip_network("198.18.0.0/15"))})
    async with opened(trusted) as userfc:
        email, unknown = await userfc.register(), new_email()
        before = count("failed", "user"), count("failed", "unknown")
        with capture_logs() as logs:
            for typed in (email, email.upper(), unknown):
                body = {"email": typed, "password": "wrong secret"}
                headers = {"x-forwarded-for": "203.0.113.7:4711"}
                assert (await userfc.call("POST", "/v1/login", json=body, headers=headers))[0] == 401
        lines = [line for line in logs if line["event"] == "login failed"]
        accounts = [line["account"] for line in lines]
        assert accounts[0] == accounts[1] != accounts[2]
        assert {line["address"] for line in lines} == {"203.0.113.7"}
        assert {line["log_level"] for line in lines} == {"warning"}
        assert all(secret not in str(lines).lower() for secret in (email, unknown, "wrong secret"))
        assert (count("failed", "user") - before[0], count("failed", "unknown") - before[1]) == (2, 1)


async def test_the_hash_of_an_account_needs_the_secret(settings: Settings) -> None:
    found = []
    for secret in ("a" * 40, "b" * 40):
        async with opened(settings.model_copy(update={"jwt_secret": type(settings.jwt_secret)(secret)})) as userfc:
            with capture_logs() as logs:
                await userfc.login("same@example.com", "wrong")
            found += [line["account"] for line in logs if line["event"] == "login failed"]
    assert len(set(found)) == 2


async def test_an_administrator_who_signs_in_is_named_and_a_customer_is_not(userfc: Userfc) -> None:
    email = await userfc.register()
    before = count("succeeded", "user"), count("succeeded", "admin")
    with capture_logs() as logs:
        await userfc.login(email, PASSWORD)
        await userfc.execute("UPDATE users SET role = 'admin' WHERE email = $1", email)
        await userfc.login(email, PASSWORD)
    [line] = [line for line in logs if line["event"] == "admin signed in"]
    assert line["user_id"] == await userfc.execute("SELECT id FROM users WHERE email = $1", email)
    assert line["address"]
    assert (count("succeeded", "user") - before[0], count("succeeded", "admin") - before[1]) == (1, 1)
