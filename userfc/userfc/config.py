"""The settings of userfc, on top of those that every service reads."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, SecretStr

from chassis.auth.limits import Rate
from chassis.config.declare import Port, setting
from chassis.config.settings import ServiceSettings
from userfc.model import check_password, normal_email


def _password(value: SecretStr) -> SecretStr:
    check_password(value.get_secret_value())
    return value


Email = Annotated[str, AfterValidator(normal_email)]
Password = Annotated[SecretStr, AfterValidator(_password)]


class Settings(ServiceSettings):
    """The defaults of userfc, its administrator and its rate limits."""

    service: ClassVar[str] = "userfc"
    # Names, addresses and hashes of passwords are no business of the auditor.
    audited: ClassVar[Mapping[str, Sequence[str]] | None] = {"users": ["id"]}

    http_port: Port = setting("app.port", 28080)
    grpc_port: Port | None = setting("app.grpc_port", 50051)
    db_port: Port = setting("database.port", 5433)
    db_name: str = setting("database.name", "userfc")

    admin_email: Email | None = setting("admin.email", None)
    admin_password: Password | None = setting("admin.password", None, secret=True)

    login_limit_per_address: Rate = setting("limits.login_per_address", "60/minute")
    login_limit_per_account: Rate = setting("limits.login_per_account", "10/minute")
    login_limit_per_account_total: Rate = setting("limits.login_per_account_total", "100/minute")
    register_limit_per_address: Rate = setting("limits.register_per_address", "60/minute")
    login_limit_per_site: Rate = setting("limits.login_per_site", "600/minute")
    register_limit_per_site: Rate = setting("limits.register_per_site", "600/minute")
