"""The settings of the auditor's image: where the stores are, and the role that may only read the databases."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.config import mongo, production
from chassis.config.addresses import HostPort, Url
from chassis.config.connections import DatabaseTlsSettings, KafkaSettings, RedisSettings, audit_role
from chassis.config.declare import Days, setting
from chassis.config.mongo import MongoUri
from chassis.config.settings import ProgramSettings
from chassis.db.tls import tls
from fc.platform.snapshot import Address
from fc.platform.stores import Stores, XenditAddress, kafka_settings, redis_url

SERVICES = ("userfc", "productfc", "orderfc", "paymentfc")


class Settings(DatabaseTlsSettings, RedisSettings, KafkaSettings, ProgramSettings):
    """Secrets come from the environment. In development MongoDB and Xendit are left out where they are not named."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, validate_default=False)

    service: ClassVar[str] = "auditor"

    userfc_db_addr: HostPort = setting("userfc.db_addr", "localhost:5433")
    userfc_db_name: str = setting("userfc.db_name", "userfc")
    productfc_db_addr: HostPort = setting("productfc.db_addr", "localhost:5434")
    productfc_db_name: str = setting("productfc.db_name", "productfc")
    orderfc_db_addr: HostPort = setting("orderfc.db_addr", "localhost:5435")
    orderfc_db_name: str = setting("orderfc.db_name", "orderfc")
    paymentfc_db_addr: HostPort = setting("paymentfc.db_addr", "localhost:5436")
    paymentfc_db_name: str = setting("paymentfc.db_name", "paymentfc")
    db_audit_password: SecretStr = setting("database.audit_password", dev="admin", secret=True)
    # As the services have it: an event that is older may be in no outbox any more.
    outbox_keep_days: Days = setting("retention.outbox_days", 7)

    mongo_uri: MongoUri | None = setting("mongo.uri", None)
    xendit_base_url: Url | None = setting("xendit.base_url", None)
    xendit_secret_api_key: SecretStr | None = setting("xendit.secret_api_key", None, secret=True)

    def plaintext(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that leave a connection without TLS, or without a check of certificate and name."""
        yield from self.plaintext_database()
        yield from RedisSettings.plaintext(self)
        yield from KafkaSettings.plaintext(self)
        if self.mongo_uri:
            yield from mongo.plaintext(self.mongo_uri)

    def refusals(self) -> Iterator[tuple[str, str]]:
        """Yield what production refuses, as paymentfc does; and to leave out a store, or the key of the real Xendit."""
        yield from super().refusals()
        for name in ("mongo_uri", "xendit_base_url", "xendit_secret_api_key"):
            if getattr(self, name) is None:
                yield name, "is missing"
        if self.mongo_uri:
            yield from mongo.refusals(self.mongo_uri)
        if self.xendit_base_url and (problem := production.gateway_problem(self.xendit_base_url)):
            yield "xendit_base_url", problem

    def stores(self) -> Stores:
        """Return the stores with the roles that may only read."""
        redis = redis_url(
            self.redis_host,
            self.redis_port,
            self.redis_password.get_secret_value(),
            tls=self.redis_tls,
            cafile=self.redis_cafile,
        )
        return Stores(
            {service: self._database(service) for service in SERVICES},
            self.kafka_broker,
            self.mongo_uri.get_secret_value() if self.mongo_uri else None,
            self._xendit(),
            redis=redis,
            kafka_settings=kafka_settings(self),
        )

    def _database(self, service: str) -> Address:
        host, _, port = getattr(self, f"{service}_db_addr").rpartition(":")
        name, password = getattr(self, f"{service}_db_name"), self.db_audit_password.get_secret_value()
        return Address(host.strip("[]"), int(port), audit_role(name), password, name, tls(self))

    def _xendit(self) -> XenditAddress | None:
        if self.xendit_base_url is None:
            return None
        key = self.xendit_secret_api_key
        return XenditAddress(self.xendit_base_url, key.get_secret_value() if key else None)
