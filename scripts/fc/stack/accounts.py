"""The accounts of a seeded platform."""

from collections.abc import Mapping

ADMIN = {"ADMIN_EMAIL": "admin@example.com", "ADMIN_PASSWORD": "admin12345"}
"""The settings from which userfc creates its first administrator."""

Accounts = dict[str, tuple[str, str]]
"""First name -> (e-mail, password)."""

_CUSTOMERS: Accounts = {
    "alice": ("alice@example.com", "customer123"),
    "bob": ("bob@example.com", "customer123"),
}
ACCOUNTS: Accounts = {"admin": (ADMIN["ADMIN_EMAIL"], ADMIN["ADMIN_PASSWORD"]), **_CUSTOMERS}


def accounts_with(settings: Mapping[str, str]) -> Accounts:
    """Return the accounts of a platform whose administrator has the ADMIN_EMAIL and ADMIN_PASSWORD in `settings`."""
    return {"admin": (settings["ADMIN_EMAIL"], settings["ADMIN_PASSWORD"]), **_CUSTOMERS}
