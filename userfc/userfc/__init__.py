"""userfc: registration, login, log-out and user data."""
