"""Where a command reads what the services have stored."""

from enum import StrEnum


class Origin(StrEnum):
    """In the databases of the local stack, or through the admin API as the console does."""

    DATABASES = "databases"
    SERVICES = "services"
