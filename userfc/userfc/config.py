"""The settings of userfc, on top of those that every service reads."""

from typing import Annotated, ClassVar, Self

from limits import parse
from pydantic import AfterValidator, IPvAnyNetwork, SecretStr, model_validator

from chassis.config.declare import Port, setting
from chassis.config.settings import ServiceSettings
from userfc.model import check_password, normal_email

# .env.example and the seed publish this password of the administrator, so production refuses it.
PUBLISHED_PASSWORDS = frozenset({"admin12345"})


def _limit(value: str) -> str:
    try:
        parse(value)
    except ValueError:
        raise ValueError("should be a rate such as 60/minute") from None
    return value


def _password(value: SecretStr) -> SecretStr:
    check_password(value.get_secret_value())
    return value


Limit = Annotated[str, AfterValidator(_limit)]
Email = Annotated[str, AfterValidator(normal_email)]
Password = Annotated[SecretStr, AfterValidator(_password)]


class Settings(ServiceSettings):
    """The defaults of userfc, its administrator and its rate limits."""

    service: ClassVar[str] = "userfc"

    http_port: Port = setting("app.port", 28080)
    grpc_port: Port | None = setting("app.grpc_port", 50051)
    db_port: Port = setting("database.port", 5433)
    db_name: str = setting("database.name", "userfc")

    admin_email: Email | None = setting("admin.email", None)
    admin_password: Password | None = setting("admin.password", None, secret=True)

    login_limit_per_address: Limit = setting("limits.login_per_address", "60/minute")
    login_limit_per_account: Limit = setting("limits.login_per_account", "10/minute")
    register_limit_per_address: Limit = setting("limits.register_per_address", "60/minute")
    trusted_proxies: tuple[IPvAnyNetwork, ...] = setting("limits.trusted_proxies", ())

    @model_validator(mode="after")
    def _refuse_published_password(self) -> Self:
        password = self.admin_password.get_secret_value() if self.admin_password else None
        if self.environment == "production" and password in PUBLISHED_PASSWORDS:
            raise ValueError("setting ADMIN_PASSWORD: is the development default, which production refuses")
        return self
