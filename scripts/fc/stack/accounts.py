"""The accounts of a seeded platform, for the demo, for tests and for trying it out."""

ADMIN = {"ADMIN_EMAIL": "admin@example.com", "ADMIN_PASSWORD": "admin12345"}
"""The settings of userfc from which its first administrator is made."""

Accounts = dict[str, tuple[str, str]]

ACCOUNTS: Accounts = {
    "admin": (ADMIN["ADMIN_EMAIL"], ADMIN["ADMIN_PASSWORD"]),
    "alice": ("alice@example.com", "customer123"),
    "bob": ("bob@example.com", "customer123"),
}
"""First name -> (e-mail, password)."""
